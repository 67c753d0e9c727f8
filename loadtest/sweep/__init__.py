"""Loads of rising rate: where the worker's capacity ends."""
