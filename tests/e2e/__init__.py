"""End to end: the real command, real git, real servers on loopback."""
