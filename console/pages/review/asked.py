"""What the page sends, read strictly. Error texts quote nothing of it."""

from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from console.errors import Problem
from console.review.item import BulkFilter, Order
from console.review.listing import MAX_LIMIT

_Form = TypeVar("_Form", bound=BaseModel)
_MOST_DIGITS: Final = 4
_MOST_DAYS: Final = 365
_MOST_ID_CHARACTERS: Final = 256
_ORDERS: Final[dict[str, Order]] = {"risk": "risk", "age": "age"}

Token = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class AskedClaim(_Asked):
    """One item by its id, or the next of a queue."""

    item_id: Id | None = None
    queue: Name | None = None
    kind: Literal["review", "sample", "appeal", "adjudication"] | None = None
    order: Order = "risk"


class Held(_Asked):
    """A claim that the page holds."""

    item_id: Id
    token: Token


class AskedClaims(_Asked):
    """Claims to renew or to give back."""

    claims: Annotated[list[Held], Field(max_length=50)]

    @property
    def held(self) -> list[tuple[int, str]]:
        """Items with their tokens."""
        return [(one.item_id, one.token) for one in self.claims]


class AskedText(_Asked):
    """Whose text is to be read."""

    item_id: Id


class AskedAnswer(_Asked):
    """An answer. `decision_id` is the page's name for it: sent again, it counts once."""

    item_id: Id
    token: Token
    decision_id: Token
    outcome: Literal["allow", "block", "skip"]
    category: Name | None = None
    reason: Name | None = None
    note: Annotated[str, Field(max_length=1_000)] | None = None


class AskedUndo(_Asked):
    """Which answer is to be taken back."""

    answer_id: Id


class AskedFilter(_Asked):
    """Which items a bulk action is about."""

    policy: Name | None = None
    category: Name | None = None
    fingerprint: Annotated[str, Field(max_length=64)] | None = None
    near: Id | None = None

    @property
    def bulk(self) -> BulkFilter:
        """As the queue takes it."""
        return BulkFilter(self.category, self.fingerprint, self.policy, self.near)


class AskedPreview(_Asked):
    """What a bulk action would be about."""

    filter: AskedFilter


class AskedBulk(_Asked):
    """One answer for many items."""

    filter: AskedFilter
    outcome: Literal["allow", "block"]
    reason: Name | None = None
    note: Annotated[str, Field(max_length=1_000)] | None = None
    cap: Annotated[int, Field(ge=1)]
    expected_count: Annotated[int, Field(ge=0)]
    batch: Token


class AskedBatch(_Asked):
    """Which batch is to be taken back."""

    batch: Token


def read(form: type[_Form], document: dict[str, Any]) -> _Form:
    """Return what a request asks.

    Raises:
        Problem: 400, with the field at fault.
    """
    try:
        return form.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "body"
        # The name of an unknown field is text of the request.
        param = "body" if first["type"] == "extra_forbidden" else place
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            f"{param}: {first['msg'].lower()}; expected what the page sends; reload it",
            param=param,
        ) from None


def limit_of(text: str) -> int:
    """Return the length of a page that a query asks for; raises Problem (400)."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            f"limit is no number of items; expected 1 to {MAX_LIMIT}",
            param="limit",
        )
    return int(text)


def chat_of(text: str) -> str:
    """Return the chat that a query names; raises Problem (400)."""
    # PostgreSQL takes no text with a NUL.
    if not 0 < len(text) <= _MOST_ID_CHARACTERS or "\x00" in text:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "bad_request",
            f"chat_id is none; expected 1 to {_MOST_ID_CHARACTERS} characters",
            param="chat_id",
        )
    return text


def order_of(text: str) -> Order:
    """Return the order that a query asks for; raises Problem (400)."""
    if (order := _ORDERS.get(text)) is None:
        raise Problem(HTTPStatus.BAD_REQUEST, "bad_request", "order is neither risk nor age; send one", param="order")
    return order


def days_of(text: str) -> int:
    """Return of how many days figures are asked for; raises Problem (400)."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and 1 <= int(text) <= _MOST_DAYS):
        raise Problem(
            HTTPStatus.BAD_REQUEST, "bad_request", f"days is no number; expected 1 to {_MOST_DAYS}", param="days"
        )
    return int(text)
