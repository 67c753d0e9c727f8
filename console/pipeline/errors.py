"""What asking the pipeline can fail with."""

from typing import Final

_OF_A_WORKER: Final = "; the process must be restarted"
"""What the worker's texts end in where nothing better is known: true of a worker, and of no console."""


def told(cause: str) -> str:
    """Return a text of the worker's as a console says it: without the remedies that are a worker's alone."""
    return cause.removesuffix(_OF_A_WORKER)


class PipelineAway(Exception):  # noqa: N818  the name says what happened
    """Kafka or Redis does not answer now, or refuses; nothing was written. Its text names the cause, no chat text.

    Args:
        cause: What happened; see `told`.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(told(cause))
