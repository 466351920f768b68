"""Fuzzers of every reader: ``make fuzz``."""
