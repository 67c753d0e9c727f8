"""Perspective's API: comments:analyze, comments:suggestscore and the discovery document."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.errors import Problem
from console.openapi import GOOGLE_PROBLEMS, body_of
from console.perspective.attributes import Attributes
from console.perspective.discovery import VERSION, discovery_document
from console.perspective.documents import AnalyzeAnswer, AnalyzeRequest, SuggestScoreAnswer, SuggestScoreRequest
from console.perspective.reading import Analysis, read_analysis, read_suggestion
from console.perspective.suggesting import take_suggestion
from console.port.guard import counted
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.threads import PIPELINE
from console.review.reporting import Reporter
from console.service import Service
from model import Classification, RowFailed

_UNDETERMINED: Final = "und"
_UTF_16_UNIT_BYTES: Final = 2


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["perspective"], dependencies=[needs(Role.CLIENT)])
    attributes = Attributes(service.bundle.taxonomy)
    detector = service.bundle.languages

    def knows_language(language: str) -> bool:
        return detector is None or detector.is_calibrated(language)

    @router.post(
        "/v1alpha1/comments:analyze",
        response_model=AnalyzeAnswer,
        responses=GOOGLE_PROBLEMS,
        openapi_extra=body_of(AnalyzeRequest),
        summary="Score a comment, as clients of Perspective ask.",
    )
    async def analyze(request: Request) -> Response:
        """Answer the attributes that the bundle's taxonomy names."""
        async with service.body(request) as raw:
            analysis = await service.read(raw, lambda body: read_analysis(body, attributes, knows_language))
            (answer,) = await service.ask(request, [analysis.turns])
            if isinstance(answer, RowFailed):
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "classification_failed", answer.error)
            return JsonResponse(_scores(analysis, answer, attributes), headers=service.model_headers)

    @router.post(
        "/v1alpha1/comments:suggestscore",
        response_model=SuggestScoreAnswer,
        responses=GOOGLE_PROBLEMS | {HTTPStatus.NOT_IMPLEMENTED.value: GOOGLE_PROBLEMS[503]},
        openapi_extra=body_of(SuggestScoreRequest),
        summary="Say what a comment's scores should be: a report that its verdict is wrong.",
    )
    async def suggest_score(request: Request) -> Response:
        """Take it as a report on each known verdict on this text; what matches none is counted and dropped."""
        operations, caller = service.taking_reports(), counted(request.scope)
        async with service.bodies.of(request) as raw:
            suggestion = await service.read(raw, lambda body: read_suggestion(body, attributes))
        reporter = Reporter(operations.store, operations.hash_of, service.metrics)
        await PIPELINE.call(take_suggestion, operations, reporter, suggestion, attributes, caller.name)
        answer = {"requestedLanguages": suggestion.languages or None, "clientToken": suggestion.client_token}
        return JsonResponse({name: value for name, value in answer.items() if value is not None})

    @router.get("/$discovery/rest", summary="How Google's clients find the methods of Perspective's API.")
    async def discovery(request: Request) -> Response:
        """Answer with the discovery document, its addresses those under which this port was asked."""
        if request.query_params.get("version", VERSION) != VERSION:
            raise Problem(
                HTTPStatus.NOT_FOUND, "not_found", f"Discovery document not found; expected version={VERSION}."
            )
        root = service.settings.http.public_url or str(request.base_url)
        return JsonResponse(discovery_document(root.rstrip("/") + "/"))

    return router


def _scores(analysis: Analysis, classification: Classification, attributes: Attributes) -> Mapping[str, Any]:
    scores = {name: attributes.score(name, classification) for name in analysis.thresholds}
    n_units = len(analysis.comment.encode("utf-16-le")) // _UTF_16_UNIT_BYTES
    kept = {
        name: _attribute(score, n_units)
        for name, score in scores.items()
        if (threshold := analysis.thresholds[name]) is None or score >= threshold
    }
    detected = [classification.language or _UNDETERMINED]
    answer: dict[str, Any] = {"attributeScores": kept} if kept else {}
    answer |= {"languages": analysis.languages or detected, "detectedLanguages": detected}
    if analysis.client_token is not None:
        answer["clientToken"] = analysis.client_token
    return answer


def _attribute(score: float, n_units: int) -> dict[str, Any]:
    value = {"value": score, "type": "PROBABILITY"}
    return {"summaryScore": value, "spanScores": [{"begin": 0, "end": n_units, "score": value}]}
