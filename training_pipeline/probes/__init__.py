"""Probes: own texts that ask one question each, and what is built of them, to measure a bundle where it may fail."""
