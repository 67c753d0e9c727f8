"""Errors of the local stack; each one means: nothing was left running, read the text, run again."""


class LocalStackError(Exception):
    """Base of everything this package raises on purpose; the text says found, expected, remedy."""


class JarError(LocalStackError):
    """A Kafka jar cannot be fetched, or is not the one the lock file names."""


class JavaNotFoundError(LocalStackError):
    """No Java runtime that is new enough was found."""


class RedisNotFoundError(LocalStackError):
    """No redis-server executable was found."""


class ServiceStartError(LocalStackError):
    """A broker or Redis did not start; the text quotes the end of its log."""


class PortTakenError(ServiceStartError):
    """A chosen port was taken by somebody else in the meantime; other ports may work."""


class StateError(LocalStackError):
    """The state file of `up` cannot be used, or what it describes is half gone."""
