"""Races of many real processes, over every transport and without a remote."""
