"""Errors of the demo; the text says found, expected, remedy."""

from testkit.errors import HarnessError


class EventsError(Exception):
    """The events file cannot be used; nothing was started."""


class ModelRefusedError(Exception):
    """Bundle or policy cannot be used; nothing was started."""


class DemoError(HarnessError):
    """The demo cannot go on; everything that it started is stopped."""
