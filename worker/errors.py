"""Errors classed by what the worker must do about them.

`schemas.RecordRejected` completes the list: dead-letter the record and go on.
"""


class Degraded(Exception):  # noqa: N818  the name says what the worker does
    """An optional service is away or answers nonsense: go on without it."""


class BatchAborted(Exception):  # noqa: N818  the name says what happened
    """Nothing of the batch was committed: go back to the committed offsets and read it again.

    Args:
        cause: What Kafka said.
        in_doubt: Whether it is unknown if the commit went through, so that the committed offsets must tell.
    """

    def __init__(self, cause: str, *, in_doubt: bool = False) -> None:
        super().__init__(cause)
        self.cause = cause
        self.in_doubt = in_doubt


class Fatal(Exception):  # noqa: N818  the name says what the worker does
    """Stop without a commit and exit non-zero, so that the process is restarted or a person looks at it."""


class TopicMissing(Fatal):
    """A topic that is to be read is not there: stop, or go on without where it is optional."""


class SettingsError(Exception):
    """The settings cannot be used: exit before anything is connected."""
