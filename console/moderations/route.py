"""POST /v1/moderations."""

import secrets
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from console.moderations.documents import ModerationAnswer, ModerationRequest
from console.moderations.reading import read_inputs
from console.moderations.results import result_of
from console.openapi import PROBLEMS, body_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.service import Service


def router_of(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["moderations"])
    ref = service.bundle.ref

    @router.post(
        "/v1/moderations",
        dependencies=[needs(Role.CLIENT)],
        response_model=ModerationAnswer,
        responses=PROBLEMS,
        openapi_extra=body_of(ModerationRequest),
        summary="Judge texts, as clients of OpenAI's moderation endpoint ask.",
    )
    async def moderate(request: Request) -> Response:
        """Answer in OpenAI's shape; the bundle's categories stand beside OpenAI's names, under names with a colon."""
        async with service.body(request) as raw:
            inputs = await service.read(raw, read_inputs)
            answers = iter(await service.ask(request, [one.turns for one in inputs if one.turns]))
            results: list[dict[str, Any]] = [
                result_of(next(answers) if one.turns else None, n_images=one.n_images, writer=service.writer)
                for one in inputs
            ]
            answer = {"id": f"modr-{secrets.token_hex(16)}", "model": f"{ref.name}-{ref.version}", "results": results}
            return JsonResponse(answer, headers=service.model_headers)

    return router
