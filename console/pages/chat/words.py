"""What a person says on the page, put into the outbox: a decision, one taken back, a report that a verdict is wrong.

Invariant: what a browser sends twice, because an answer was lost, stands in the outbox once: it makes up the id.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from console.errors import Problem
from console.operations import Operations
from console.review.wish import AnswerRules
from console.store.outbox_rows import (
    EVERY_POLICY,
    Body,
    FeedbackBody,
    Kind,
    OverrideClearBody,
    OverrideSetBody,
    cancel,
    is_said_by,
    put,
    sending,
)
from console.store.store import now_ms
from schemas import Decision

_DECISION_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST_PROBLEMS: Final = 3

_Model = TypeVar("_Model", bound=BaseModel)


class Words:
    """Puts what people say into the outbox.

    Args:
        operations: Database, settings, and the key of hashes.
    """

    def __init__(self, operations: Operations) -> None:
        self._store = operations.store
        self._undo_s = operations.settings.review.undo_s
        self._hash_of = operations.hash_of
        self.reasons: Final = AnswerRules.of(operations.settings.review).reasons
        """The codes of which a decision names one."""

    def override(self, document: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Decide on a chat.

        Raises:
            Problem: 400.
            StoreAway: nothing was written.
        """
        self._check_reason(document)
        given = _taken(document, OverrideSetBody, "actor", "decided_ms")
        body = _read(OverrideSetBody, given | {"actor": actor, "decided_ms": now_ms()})
        if body.decision is Decision.REVIEW:
            raise _refused("decision", "expected allow or block")
        return self._put(document, Kind.OVERRIDE_SET, body, body.chat_id, actor)

    def clear(self, document: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Take back what stands on a chat; raises as `override` does."""
        self._check_reason(document)
        body = _read(OverrideClearBody, _taken(document, OverrideClearBody, "actor", "undoes") | {"actor": actor})
        return self._put(document, Kind.OVERRIDE_CLEAR, body, body.chat_id, actor)

    def report(self, document: Mapping[str, Any], reporter: str) -> dict[str, Any]:
        """Say that a verdict is wrong, and what would be right; raises as `override` does."""
        given = _taken(document, FeedbackBody, "reporter", "reported_ms")
        body = _read(FeedbackBody, given | {"reporter": reporter, "reported_ms": now_ms()})
        if body.category is None and body.decision is None:
            raise _refused("category", "found neither category nor decision; expected what would be right")
        return self._put(document, Kind.FEEDBACK, body, body.chat_id, reporter)

    def undo(self, document: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Take an own row back that is not on its way yet; `undone` says whether it could be.

        Raises:
            Problem: 400; 404 where nothing was said here under this id by this person. An answer of the queue is undone
                there: without its rows it would be an answer that does nothing.
            StoreAway: nothing was written.
        """
        decision_id = _decision_id(document)
        with self._store.writing() as connection:
            if not is_said_by(connection, decision_id, actor):
                raise Problem(HTTPStatus.NOT_FOUND, "not_found", "no such row of yours; expected the id of one you put")
            return {"undone": cancel(connection, decision_id, now_ms())}

    def sent(self, decision_id: str, kind: str, actor: str) -> dict[str, Any]:
        """Return how far a row has come; raises Problem (404) where this person put none here.

        What an answer of the queue sends is not told: of a blind item it would say what the model says.
        """
        if kind not in {one.value for one in Kind}:
            raise _refused("kind", "expected a kind of the outbox")
        with self._store.reading() as connection:
            found = sending(connection, _decision_id({"decision_id": decision_id}), Kind(kind))
            is_own = found is not None and is_said_by(connection, decision_id, actor)
        if found is None or not is_own:
            raise Problem(HTTPStatus.NOT_FOUND, "not_found", "no such row; expected the id of one that was put")
        # Of one that waits it is what the last try met, addresses of the cluster among it.
        return (found._replace(error=None) if found.state == "waiting" else found)._asdict()

    def _put(
        self, document: Mapping[str, Any], kind: Kind, body: Body, chat_id: str | None, speaker: str
    ) -> dict[str, Any]:
        decision_id = _decision_id(document)
        sends_at_ms = now_ms() + round(self._undo_s * 1_000)
        with self._store.writing() as connection:
            if sending(connection, decision_id, kind) is not None:
                if not is_said_by(connection, decision_id, speaker):
                    raise _refused("decision_id", "another decision has it; expected a new one")
            else:
                put(
                    connection,
                    kind,
                    decision_id,
                    body,
                    chat_id=chat_id,
                    chat_hash=None if chat_id is None else self._hash_of(chat_id),
                    not_before_ms=sends_at_ms,
                    created_ms=now_ms(),
                )
        return {"decision_id": decision_id, "kind": kind.value, "sends_at_ms": sends_at_ms}

    def _check_reason(self, document: Mapping[str, Any]) -> None:
        if document.get("reason") not in self.reasons:
            raise _refused("reason", f"expected one of {', '.join(self.reasons)}")


def _taken(document: Mapping[str, Any], model: type[BaseModel], *left_out: str) -> dict[str, Any]:
    """Return the fields of a model that a request holds; who speaks and when is never its to say."""
    wanted = model.model_fields.keys() - set(left_out)
    given = {name: value for name, value in document.items() if name in wanted}
    return {"policy": EVERY_POLICY} | given if "policy" in wanted else given


def _read(model: type[_Model], given: Mapping[str, Any]) -> _Model:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        # Without the values: they may be notes, and chat ids.
        problems = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_url=False)[:_MOST_PROBLEMS]
        ]
        raise Problem(HTTPStatus.BAD_REQUEST, "schema_error", "; ".join(problems)) from None


def _decision_id(document: Mapping[str, Any]) -> str:
    found = document.get("decision_id")
    if not isinstance(found, str) or not _DECISION_ID.fullmatch(found):
        raise _refused("decision_id", "expected 32 hexadecimal digits that the browser made up")
    return found


def _refused(param: str, message: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "schema_error", f"{param}: {message}", param=param)
