"""What a user may ask for: one verb per file, written against the ports."""
