"""Each route of the application says which role it needs, and is refused to those of a lower one."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import RouteContext, iter_route_contexts

from console.app import make_api
from console.pages import PAGES
from console.port.guard import PROBES
from console.port.roles import Role, may, needs, role_needed
from console.service import Service


def _routes(app: FastAPI) -> list[RouteContext]:
    return [route for route in iter_route_contexts(app.routes) if route.path != app.openapi_url]


def test_every_route_says_which_role_it_needs(service: Service) -> None:
    """Add `dependencies=[needs(Role.…)]` to the route or to its router; the probes alone ask nobody's name."""
    app = make_api(service, PAGES)
    routes = _routes(app)
    assert len(routes) > 15
    assert [route.path for route in routes if role_needed(route) is None and route.path not in PROBES] == []


def test_a_routers_role_counts_for_its_routes_and_the_higher_one_wins() -> None:
    """However routers are put into one another."""
    app = FastAPI(docs_url=None, redoc_url=None, dependencies=[needs(Role.VIEWER)])
    app.get("/both", dependencies=[needs(Role.ADMIN)])(lambda: None)
    router = APIRouter(dependencies=[needs(Role.REVIEWER)])
    router.get("/one")(lambda: None)
    app.include_router(router)
    found = {route.path: role_needed(route) for route in _routes(app)}
    assert found == {"/both": Role.ADMIN, "/one": Role.REVIEWER}
    assert [may(Role.REVIEWER, role) for role in Role] == [True, True, True, False]
