"""`/v1/overrides`: a person decides on a chat in the model's place. `/v1/outbox`: what of it is still to be sent."""

from fastapi import APIRouter

from console.overrides import outbox_route, route
from console.service import Service

__all__ = ["router_of"]


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["overrides"])
    router.include_router(route.router_of(service))
    router.include_router(outbox_route.router_of(service))
    return router
