"""The outside, one neighbour per file."""
