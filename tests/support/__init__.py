"""What the tests stand on: git, the real command, servers on loopback, and a proxy that breaks connections."""
