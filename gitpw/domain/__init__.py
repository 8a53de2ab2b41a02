"""What things are and what may happen: pure rules, without I/O and without a clock."""
