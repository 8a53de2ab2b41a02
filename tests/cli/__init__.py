"""The command line against fake services: what it parses, prints and exits with."""
