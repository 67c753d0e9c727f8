"""What the routes of the page share: who asks, what they sent, and a question to the queue in a thread."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from fastapi import Request
from pydantic import BaseModel

from console.pages.review.asked import read
from console.pages.review.problems import answered
from console.pipeline.text import Texts
from console.port.body import parse_object
from console.port.guard import caller_of
from console.port.roles import Role, may
from console.port.threads import DATABASE
from console.review.beside import appeal_of, earlier_of, was_skipped
from console.review.item import Claim
from console.review.queue import Queue
from console.review.rows import Queues
from console.review.shown import shown_claim
from console.service import Service

_Form = TypeVar("_Form", bound=BaseModel)
_Given = TypeVar("_Given")


class Person(NamedTuple):
    """Who asks, a reviewer at least."""

    name: str
    is_admin: bool
    queues: Queues
    """Those that are theirs."""


class Desk:
    """What the routes share.

    Args:
        service: Bounds of bodies, taxonomy, policies.
        queue: The queue.
        texts: Texts of chats; None: there are none to be had, as where Kafka is away.
    """

    def __init__(self, service: Service, queue: Queue, texts: Texts | None) -> None:
        self.service = service
        self.queue = queue
        self.texts = texts

    async def read(self, request: Request, form: type[_Form]) -> _Form:
        """Return what a request asks; raises Problem."""
        return read(form, await self.document(request))

    async def document(self, request: Request) -> dict[str, Any]:
        """Return the JSON object of a request's body; raises Problem."""
        async with self.service.bodies.of(request) as raw:
            return parse_object(raw)

    async def beside(self, claim: Claim | None, person: Person) -> dict[str, Any] | None:
        """Return a claim with what stands beside it, JSON-ready."""
        if claim is None:
            return None

        def look() -> dict[str, Any]:
            with self.queue.reading() as connection:
                return {
                    "earlier": earlier_of(connection, claim.item, person.queues),
                    "appeal": appeal_of(connection, claim.item),
                    "was_skipped": was_skipped(connection, claim.item, person.name),
                }

        return {**shown_claim(claim), **await in_thread(look)}


def reviewer_of(request: Request) -> Person:
    """Return who asks."""
    caller = caller_of(request.scope)
    return Person(caller.name, may(caller.role, Role.ADMIN), caller.queues)


async def in_thread(
    ask: Callable[[], _Given],
    *,
    lets_conflicts_pass: bool = False,
    too_late: Callable[[_Given], None] | None = None,
) -> _Given:
    """Ask queue or database in a thread: either may make it wait.

    Args:
        ask: What to ask.
        lets_conflicts_pass: Whether Conflict and NotInQueue come as they are.
        too_late: Takes back what was done after the person was told to ask again.

    Raises:
        Problem: what `answered` makes of what went wrong, or that it took too long.
        Conflict, NotInQueue: as they are, where they are let pass.
    """
    with answered(lets_conflicts_pass=lets_conflicts_pass):
        return await DATABASE.call(ask, too_late=too_late)
