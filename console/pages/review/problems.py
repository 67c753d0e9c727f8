"""What the queue, the database and the pipeline can fail with, as answers to the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from console.errors import Problem
from console.pipeline.errors import PipelineAway
from console.review.errors import Conflict, NotInQueue, WishRefused
from console.store.store import StoreAway


@contextmanager
def answered(*, lets_conflicts_pass: bool = False) -> Iterator[None]:
    """Turn what goes wrong within into a Problem; Conflict and NotInQueue may be let pass as they are.

    `store_away` and `pipeline_away` come without `retry-after`: the page says which of them is away, and asks again.
    """
    try:
        yield
    except StoreAway:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "store_away",
            "the database does not answer; nothing was written; ask again in a second",
        ) from None
    except PipelineAway:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "pipeline_away",
            "Kafka does not answer, so that the text cannot be read; ask again in some seconds",
        ) from None
    except (NotInQueue, Conflict) as found:
        if lets_conflicts_pass:
            raise
        raise _problem_of(found) from None
    except WishRefused as refused:
        raise Problem(HTTPStatus.BAD_REQUEST, "wish_refused", refused.message, param=refused.param) from None


def _problem_of(found: NotInQueue | Conflict) -> Problem:
    if isinstance(found, Conflict):
        return Problem(HTTPStatus.CONFLICT, "conflict", found.message)
    return Problem(
        HTTPStatus.NOT_FOUND,
        "not_in_queue",
        "there is no such item or answer for you, or it was erased; take the next one",
    )


def lost(item_id: int, token: str, why: Conflict | NotInQueue) -> dict[str, Any]:
    """Describe a claim that could not be renewed: who has the item, or who answered what."""
    document: dict[str, Any] = {"item_id": item_id, "token": token}
    if isinstance(why, Conflict):
        names = ("claimed_by", "until_ms", "decided_by", "outcome")
        document |= {name: getattr(why, name) for name in names}
    return document
