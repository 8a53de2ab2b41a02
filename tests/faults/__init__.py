"""What breaks: connections, processes, clocks, ledgers, files and the words that people type."""
