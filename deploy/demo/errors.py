"""Errors of the demo; the text says found, expected, remedy."""


class EventsError(Exception):
    """The events file cannot be used; nothing was started."""


class DemoError(Exception):
    """The demo cannot go on; everything that it started is stopped."""
