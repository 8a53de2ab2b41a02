"""The adapters, each against the real neighbour: git, the shell, the disk."""
