"""Each route of the application says which role it needs, and is refused to those of a lower one."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import RouteContext, iter_route_contexts

from console.app import make_api
from console.operations import with_views
from console.pages import PAGES
from console.pages.frame import TABS
from console.port.guard import PROBES
from console.port.roles import Role, may, needs, role_needed
from console.port.sessions import Sessions, is_open, is_page
from console.port.users import Users
from console.review.queue import Queue
from console.service import Service
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.port.test_users import PASSWORD, entry, write
from tests.console.server import RunningConsole

__all__ = ["operating_service", "operations_on_sqlite"]


@pytest.fixture
def whole_service(operating_service: Service) -> Service:
    """Return a service with all that has pages; no thread runs."""
    assert operating_service.operations is not None
    operations = with_views(operating_service.operations)
    queue = Queue(operations.store, operations.settings.review, None)
    return replace(operating_service, operations=replace(operations, queue=queue))


def _routes(app: FastAPI) -> list[RouteContext]:
    return [route for route in iter_route_contexts(app.routes) if route.path != app.openapi_url]


def test_every_route_says_which_role_it_needs(whole_service: Service) -> None:
    """Add `dependencies=[needs(Role.…)]` to the route or to its router; the probes alone ask nobody's name."""
    app = make_api(whole_service, PAGES, Sessions(None, b"secret"))
    routes = _routes(app)
    assert {"/live", "/review", "/chat", "/policy", "/model", "/review/answer"} <= {route.path for route in routes}
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


def test_no_change_of_any_page_is_made_with_a_login_and_without_an_origin(
    whole_service: Service, tmp_path: Path
) -> None:
    """Each route that changes something, whatever page it is of: else its author forgot the guard."""
    write(tmp_path / "users.toml", entry("anna", role="admin"))
    console = RunningConsole(whole_service, None, PAGES, users=Users(tmp_path / "users.toml"))
    try:
        answer = console.post("/login", {"name": "anna", "password": PASSWORD}, origin=console.url)
        login = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
        changes = {
            (method, re.sub(r"{[^}]*}", "1", str(route.path)))
            for route in _routes(make_api(whole_service, PAGES, Sessions(None, b"secret")))
            for method in route.methods or ()
            if method not in {"GET", "HEAD"} and is_page(str(route.path)) and not is_open(str(route.path))
        }
        assert ("POST", "/try/judge") in changes
        for method, path in sorted(changes):
            for foreign in (
                {},
                {"origin": "https://evil.example"},
                {"origin": console.url, "sec-fetch-site": "cross-site"},
            ):
                refused = console.ask(method, path, b"{}", {"content-type": "application/json", **login, **foreign})
                assert (refused.status, refused.error["code"]) == (403, "origin_not_allowed"), (method, path, foreign)
    finally:
        console.close()


def test_a_page_of_a_higher_role_is_refused_to_a_lower_one(whole_service: Service, tmp_path: Path) -> None:
    """Before the body is read; a client's login sees the Try page alone. A browser gets a page that says so."""
    names = {role: f"{role.value}-1" for role in Role}
    write(tmp_path / "users.toml", *(entry(name, role=role.value) for role, name in names.items()))
    console = RunningConsole(whole_service, None, PAGES, users=Users(tmp_path / "users.toml"))
    try:
        routes = [
            (min(route.methods or ()), re.sub(r"{[^}]*}", "1", str(route.path)), role_needed(route))
            for route in _routes(make_api(whole_service, PAGES, Sessions(None, b"secret")))
            if is_page(str(route.path)) and not is_open(str(route.path))
        ]
        for role, name in names.items():
            answer = console.post("/login", {"name": name, "password": PASSWORD}, origin=console.url)
            login = {"cookie": answer.headers["set-cookie"].partition(";")[0], "origin": console.url}
            for method, path, needed in routes:
                assert needed is not None
                if not may(role, needed):
                    refused = console.ask(method, path, b"{}", login)
                    assert (refused.status, refused.error["code"]) == (403, "role_needed"), (role, method, path)
            for _, path, needed in (one for one in routes if one[1] in {tab.path for tab in TABS}):
                assert needed is not None
                opened = console.ask("GET", path, None, login | {"accept": "text/html,*/*;q=0.8"})
                assert opened.headers["content-type"].startswith("text/html"), path
                assert opened.status == (200 if may(role, needed) else 403), (role, path)
                assert may(role, needed) or f"needs the role {needed.value}".encode() in opened.raw, (role, path)
    finally:
        console.close()
