"""What asking the pipeline can fail with."""

from typing import Final

from console.port.roles import Role, may

_OF_A_WORKER: Final = "; the process must be restarted"
"""What the worker's texts end in where nothing better is known: true of a worker, and of no console."""


def told(cause: str) -> str:
    """Return a text of the worker's as a console says it: without the remedies that are a worker's alone."""
    return cause.removesuffix(_OF_A_WORKER)


def cause_for(role: Role, cause: str, plain: str) -> str:
    """Return why something of the pipeline cannot be had, as a role may read it.

    Args:
        role: Of who asks.
        cause: What was found; it names addresses of the cluster, which are for admins.
        plain: What all others are told.
    """
    return f"{plain}: {cause}" if may(role, Role.ADMIN) else f"{plain}; an admin sees why"


class PipelineAway(Exception):  # noqa: N818  the name says what happened
    """Kafka or Redis does not answer now, or refuses; nothing was written. Its text names the cause, no chat text.

    Args:
        cause: What happened; see `told`.
    """

    def __init__(self, cause: str) -> None:
        super().__init__(told(cause))
