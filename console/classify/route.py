"""POST /v1/classify."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.classify.documents import ClassifyAnswer, ClassifyRequest, Rejection
from console.classify.reading import problem_of, read_request
from console.judging.asked import Asked
from console.judging.request import Answer
from console.openapi import PROBLEMS, body_of
from console.port.roles import Role, needs
from console.service import Service
from model import RowFailed
from schemas import RecordRejected, RejectionReason

_JSON: Final = "application/json"
_FEW: Final = 16


def router_of(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["classify"])
    limits = service.settings.codec

    @router.post(
        "/v1/classify",
        dependencies=[needs(Role.CLIENT)],
        response_model=ClassifyAnswer,
        responses=PROBLEMS,
        openapi_extra=body_of(ClassifyRequest),
        summary="Judge one conversation, or up to 256.",
    )
    async def classify(request: Request) -> Response:
        """Answer with verdicts as the worker publishes them, without `source`, one decision for each policy."""
        async with service.body(request) as raw:
            reading = await service.read(raw, lambda body: read_request(body, limits))
            readable = [one for one in reading.asked if isinstance(one, Asked)]
            answers = await service.ask(request, [one.turns for one in readable])
            results = (
                _results(service, reading.asked, answers)
                if len(answers) <= _FEW
                # 256 verdicts take 50 ms to write, in which others are to be answered.
                else await asyncio.to_thread(_results, service, reading.asked, answers)
            )
            if not reading.is_batch or all(isinstance(result, RecordRejected) for result in results):
                if isinstance(first := results[0], RecordRejected):
                    raise problem_of(first)
                return Response(first, media_type=_JSON, headers=service.model_headers)
            written = [_rejection(result) if isinstance(result, RecordRejected) else result for result in results]
            body = b'{"results":[' + b",".join(written) + b"]}"
            return Response(body, media_type=_JSON, headers=service.model_headers)

    return router


def _results(
    service: Service, asked: Sequence[Asked | RecordRejected], answers: Sequence[Answer]
) -> list[bytes | RecordRejected]:
    """Return an encoded verdict or a rejection for each conversation."""
    decided_at = datetime.now(UTC)
    left = iter(answers)
    results: list[bytes | RecordRejected] = []
    for one in asked:
        if isinstance(one, RecordRejected):
            results.append(one)
            continue
        answer = next(left)
        if isinstance(answer, RowFailed):
            results.append(RecordRejected(RejectionReason.CLASSIFICATION_FAILED, answer.error, one.chat_id))
            continue
        results.append(service.writer.verdict(one, answer, decided_at).model_dump_json().encode())
    return results


def _rejection(rejection: RecordRejected) -> bytes:
    document = Rejection(rejected=rejection.reason, error=rejection.error, chat_id=rejection.chat_id)
    return document.model_dump_json().encode()
