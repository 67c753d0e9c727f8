"""`--api-only`: no page, and nothing of one."""

from tests.console.server import RunningConsole

PATHS = ("/", "/try", "/try/bundles", "/login", "/static/frame.css")


def test_without_pages_their_paths_are_unknown(console: RunningConsole) -> None:
    """The API has no rights to what pages will show."""
    for path in PATHS:
        assert console.ask("GET", path).status == 404
    assert console.post("/try/judge", {"messages": []}).status == 404


def test_pages_are_no_part_of_the_apis_description(try_console: RunningConsole) -> None:
    """They may change with every version."""
    described = try_console.ask("GET", "/openapi.json").json["paths"]
    assert not [path for path in described if path in PATHS or path.startswith(("/try", "/login"))]
