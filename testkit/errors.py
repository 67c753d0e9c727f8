"""Errors of the harness; the text says found, expected, remedy."""


class HarnessError(Exception):
    """What was started, sent or waited for did not do what was expected of it."""
