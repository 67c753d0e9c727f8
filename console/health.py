"""/livez, /readyz and /metrics."""

from http import HTTPStatus

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import PlainTextResponse, Response

from console.port.roles import Role, needs
from console.service import Service


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="Whether the process answers.", response_class=PlainTextResponse)
    async def livez() -> PlainTextResponse:
        """Answer: a process that cannot is restarted."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz", summary="Whether requests are answered.", response_class=PlainTextResponse)
    async def readyz() -> PlainTextResponse:
        """Say whether the classifier takes requests."""
        if service.judge.is_ready:
            if not (n_refused := len(service.policies_refused)):
                return PlainTextResponse("ok\n")
            # Whoever asks needs no key: the log names the files.
            return PlainTextResponse(f"ok; policy files that are refused: {n_refused}; the log names them\n")
        return PlainTextResponse(
            "the classifier takes no requests: the process is ending\n", HTTPStatus.SERVICE_UNAVAILABLE
        )

    @router.get(
        "/metrics",
        dependencies=[needs(Role.CLIENT)],
        summary="Metrics in Prometheus' form.",
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        """Answer with all metrics."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
