"""The routes of /try.

What they ask goes through the API's queue, and all but a single verdict waits until none of the API's requests does.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response

from console.classify.reading import problem_of
from console.classify.size import oversize, oversize_each
from console.errors import Problem
from console.judging.asked import Asked, read_asked, read_event
from console.judging.request import Answer
from console.pages.frame import page
from console.pages.try_it.documents import BundleOf, Bundles, Influence, Influences, Judged, Row, Rows
from console.pages.try_it.influence import Part, messages_of, words_of
from console.pages.try_it.reading import reading_of
from console.pages.try_it.shelf import SERVED, Loaded, Shelf
from console.port.body import parse_object
from console.port.roles import Role, needs
from console.port.sessions import Sessions
from console.service import Service
from model import Classification, RowFailed
from schemas import RecordRejected, RejectionReason, Turn, visible_turns

MAX_ROWS: Final = 64
_AT_ONCE: Final = 8
_CHAT: Final = "try"
_NEEDS: Final = [needs(Role.CLIENT)]


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add the page."""
    shelf = Shelf(service)
    asking = _Asking(service, shelf)

    @app.get("/try", include_in_schema=False, dependencies=_NEEDS)
    async def try_page(request: Request) -> Response:
        return page("try.html", request, service, sessions)

    @app.get("/try/bundles", include_in_schema=False, dependencies=_NEEDS)
    async def bundles() -> Response:
        return _json(Bundles(names=await asyncio.to_thread(shelf.names)))

    @app.post("/try/bundle", include_in_schema=False, dependencies=_NEEDS)
    async def bundle(request: Request) -> Response:
        async with service.bodies.of(request) as raw:
            chosen = await asking.chosen(parse_object(raw))
        return _json(BundleOf.of(chosen.service))

    @app.post("/try/judge", include_in_schema=False, dependencies=_NEEDS)
    async def judge(request: Request) -> Response:
        async with service.bodies.of(request) as raw:
            document = await service.read(raw, parse_object)
            chosen = await asking.chosen(document)
            asked, n_characters = await asking.conversation(raw, document)
            (answer,) = await chosen.service.ask(request, [asked.turns])
            answered = _answered(answer)
            verdict = chosen.service.writer.verdict(asked, answered, datetime.now(UTC))
            n_left_out = max(0, n_characters - sum(len(turn.text) for turn in asked.turns))
            reading = await asyncio.to_thread(
                reading_of, asked.turns, chosen.service.bundle, chosen.tokenizer, n_left_out=n_left_out
            )
            return _json(Judged(verdict=verdict, reading=reading))

    @app.post("/try/influence", include_in_schema=False, dependencies=_NEEDS)
    async def influence(request: Request) -> Response:
        async with service.bodies.of(request) as raw:
            document = await service.read(raw, parse_object)
            chosen = await asking.chosen(document)
            asked, _ = await asking.conversation(raw, document)
            parts = await asyncio.to_thread(_parts, asked.turns, document.get("message"))
            return _json(await asking.influences(request, chosen, asked.turns, parts))

    @app.post("/try/table", include_in_schema=False, dependencies=_NEEDS)
    async def table(request: Request) -> Response:
        async with service.bodies.of(request) as raw:
            document = await service.read(raw, parse_object)
            chosen = await asking.chosen(document)
            texts = document.get("texts")
            if not isinstance(texts, list) or not 1 <= len(texts) <= MAX_ROWS:
                raise _refused("texts", f"expected a list of 1 to {MAX_ROWS} texts")
            asked = await service.read(raw, lambda _raw: asking.texts(texts, raw))
            readable = [one for one in asked if isinstance(one, Asked)]
            answers = iter(await chosen.service.ask(request, [one.turns for one in readable], is_background=True))
            rows = [_row(next(answers), chosen) if isinstance(one, Asked) else _refused_row(one) for one in asked]
            return _json(Rows(rows=rows))


class _Asking:
    """What the routes share.

    Args:
        service: Bounds.
        shelf: Bundles.
    """

    def __init__(self, service: Service, shelf: Shelf) -> None:
        self._service = service
        self._shelf = shelf
        self._limits = service.settings.codec

    async def chosen(self, document: dict[str, Any]) -> Loaded:
        """Return the bundle that a request names."""
        name = document.get("bundle", SERVED)
        if not isinstance(name, str):
            raise _refused("bundle", "expected a name of /try/bundles")
        return await self._shelf.loaded(name)

    async def conversation(self, raw: bytes, document: dict[str, Any]) -> tuple[Asked, int]:
        """Return the conversation that a request holds, and its characters, also those that are not kept."""
        try:
            if (rejection := oversize(raw, self._limits)) is not None:
                raise rejection
            return await self._service.read(raw, lambda _raw: self._read(document.get("messages")))
        except RecordRejected as rejection:
            raise problem_of(rejection) from None

    def _read(self, messages: object) -> tuple[Asked, int]:
        event = read_event({"chat_id": _CHAT, "messages": messages}, self._limits)
        return Asked.of(event), sum(len(turn.text) for turn in visible_turns(event))

    def texts(self, texts: list[object], raw: bytes) -> list[Asked | RecordRejected]:
        """Return what the texts of a table ask, each within the bounds of a conversation of the API."""
        sizes = oversize_each(texts, raw, self._limits)
        return [size or self._text(text) for text, size in zip(texts, sizes, strict=True)]

    def _text(self, text: object) -> Asked | RecordRejected:
        if not isinstance(text, str):
            return RecordRejected(RejectionReason.SCHEMA_ERROR, "expected a text")
        try:
            return read_asked(text, self._limits)
        except RecordRejected as rejection:
            return rejection

    async def influences(
        self, request: Request, chosen: Loaded, turns: Sequence[Turn], parts: Sequence[Part]
    ) -> Influences:
        """Ask about a conversation without each of its parts, as far as the deadline allows."""
        whole, *_ = await chosen.service.ask(request, [turns], is_background=True)
        base = _answered(whole)
        found: list[Answer | None] = [None] * len(parts)
        askable = [i for i, part in enumerate(parts) if part.left]
        n_asked = 0
        try:
            for start in range(0, len(askable), _AT_ONCE):
                some = askable[start : start + _AT_ONCE]
                answers = await chosen.service.ask(request, [parts[i].left for i in some], is_background=True)
                for i, answer in zip(some, answers, strict=True):
                    found[i] = answer
                n_asked += len(some)
        except Problem as problem:
            # What is known by the deadline, or until others need the classifier, is worth showing.
            if problem.status not in {HTTPStatus.GATEWAY_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}:
                raise
        return Influences(
            category=base.category,
            parts=[_influence(part, base, without) for part, without in zip(parts, found, strict=True)],
            is_complete=n_asked == len(askable),
        )


def _parts(turns: Sequence[Turn], message: object) -> list[Part]:
    if message is None:
        return messages_of(turns)
    if not isinstance(message, int) or isinstance(message, bool) or not 0 <= message < len(turns):
        raise _refused("message", f"expected the position of a message with visible text, 0 to {len(turns) - 1}")
    return words_of(turns, message)


def _influence(part: Part, base: Classification, without: Answer | None) -> Influence:
    if not isinstance(without, Classification):
        return Influence(message=part.message, text=part.text, category_drop=None, banned_drop=None)
    code = base.category
    return Influence(
        message=part.message,
        text=part.text,
        category_drop=base.evidence[code] - without.evidence[code],
        banned_drop=base.judgement.banned_probability - without.judgement.banned_probability,
    )


def _row(answer: Answer, chosen: Loaded) -> Row:
    if isinstance(answer, RowFailed):
        return _refused_row(RecordRejected(RejectionReason.CLASSIFICATION_FAILED, answer.error))
    return Row(
        category=answer.category,
        name=chosen.service.bundle.taxonomy.names[answer.category],
        probability=answer.probabilities[answer.category],
        decision=chosen.service.writer.decision(answer).value,
        banned_probability=answer.judgement.banned_probability,
        risk=answer.judgement.banned_to_safe_risk,
    )


def _refused_row(rejection: RecordRejected) -> Row:
    return Row(rejected=rejection.reason, error=rejection.error)


def _answered(answer: Answer) -> Classification:
    if isinstance(answer, RowFailed):
        raise problem_of(RecordRejected(RejectionReason.CLASSIFICATION_FAILED, answer.error))
    return answer


def _refused(param: str, message: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, RejectionReason.SCHEMA_ERROR, f"{param}: {message}", param=param)


def _json(document: BaseModel) -> Response:
    return Response(document.model_dump_json(), media_type="application/json")
