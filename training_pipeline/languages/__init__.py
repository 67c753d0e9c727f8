"""Fitting the language detector."""
