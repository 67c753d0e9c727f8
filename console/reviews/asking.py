"""Ask the queue for a request: in a thread, with its errors as problems."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeVar

from starlette.requests import Request

from console.errors import Problem
from console.operations import Operations
from console.port.threads import DATABASE
from console.review.errors import Conflict, NotInQueue, WishRefused
from console.review.queue import Queue
from console.service import Service, not_configured

_Found = TypeVar("_Found")

_DIGITS: Final = 18
_MAX_MS: Final = 2**53


class Followed(NamedTuple):
    """What the routes need of a console that follows a pipeline."""

    operations: Operations
    queue: Queue


def followed(service: Service) -> Followed:
    """Return the queue and what is around it; raises Problem (501) where no pipeline is followed."""
    operations = service.following()
    if operations.queue is None:
        raise not_configured("a console that has a queue")
    return Followed(operations, operations.queue)


async def ask(function: Callable[..., _Found], *arguments: Any, **named: Any) -> _Found:
    """Call a function of the queue in a thread.

    Raises:
        Problem: what `problem_of` returns, or that it took too long.
        StoreAway: the application answers it.
    """
    try:
        return await DATABASE.call(function, *arguments, **named)
    except (Conflict, NotInQueue, WishRefused) as error:
        raise problem_of(error) from error


def problem_of(error: Conflict | NotInQueue | WishRefused) -> Problem:
    """Return the problem that an error of the queue is."""
    match error:
        case Conflict():
            details = {
                name: value
                for name in ("claimed_by", "until_ms", "decided_by", "outcome", "n_matching")
                if (value := getattr(error, name)) is not None
            }
            return Problem(HTTPStatus.CONFLICT, "conflict", error.message, details=details)
        case NotInQueue():
            return Problem(
                HTTPStatus.NOT_FOUND,
                "unknown_item",
                "no such item or answer for this caller; GET /v1/reviews lists the open ones",
            )
        case WishRefused():
            return Problem(HTTPStatus.BAD_REQUEST, "invalid_input", error.message, param=error.param)


def number_of(text: str) -> int:
    """Return the number in a path; raises Problem (404) where it is none."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise problem_of(NotInQueue())
    return int(text)


def parameters_of(request: Request, known: frozenset[str]) -> dict[str, str]:
    """Return the parameters of a request's query.

    Raises:
        Problem: one is not known, comes twice, or holds what is not printable.
    """
    found = dict(request.query_params)
    if found.keys() - known or len(request.query_params.multi_items()) > len(found):
        raise _refused(
            "the query", f"has a parameter that is not known, or one twice; expected {', '.join(sorted(known))}"
        )
    for name, value in found.items():
        if not value.isprintable():
            raise _refused(name, "holds a control character; expected text without")
    return found


def whole_number(parameters: dict[str, str], name: str, default: int, most: int = _MAX_MS) -> int:
    """Return a parameter that is a whole number; raises Problem where it is none."""
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS and int(text) <= most):
        raise _refused(name, f"is no whole number of 0 to {most}")
    return int(text)


def one_of(parameters: dict[str, str], name: str, allowed: tuple[str, ...], default: str | None) -> str | None:
    """Return a parameter that is one of some words; raises Problem where it is none."""
    text = parameters.get(name, default)
    if text is not None and text not in allowed:
        raise _refused(name, f"is none of {', '.join(allowed)}")
    return text


def _refused(param: str, message: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "invalid_input", f"{param}: {message}", param=param)
