"""A console in this process, on a port of its own, and a plain client."""

import socket
import threading
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from typing import Any, NamedTuple

import orjson
import uvicorn

from console.app import AddPages, make_app
from console.port.keys import Keys
from console.port.proxy import ProxyPeople
from console.port.sessions import Sessions
from console.port.users import Users
from console.service import Service
from testkit.waiting import wait_until


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return orjson.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of either form."""
        error: dict[str, Any] = self.json["error"]
        return error


class RunningConsole:
    """A served application.

    Args:
        service: What answers.
        keys: API keys.
        pages: What is served besides the API.
        users: Local users.
        people: Whom a proxy names.
    """

    def __init__(
        self,
        service: Service,
        keys: Keys | None = None,
        pages: Sequence[AddPages] = (),
        *,
        users: Users | None = None,
        people: ProxyPeople | None = None,
    ) -> None:
        self.service = service
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        has_logins = keys is not None or users is not None
        sessions = Sessions(keys, b"the tests' secret", users=users) if has_logins else None
        app = make_app(service, keys, pages, sessions, people)
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, timeout_s=30, what=lambda: "the server does not start")

    def close(self) -> None:
        """End the server."""
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request on a connection of its own; headers are sent as they are."""
        link = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            link.request(method, path, body, dict(headers or {}))
            response = link.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            link.close()

    def post(self, path: str, document: Any, **headers: str) -> Answer:
        """Post a document, or bytes as they are; `_` in a header's name stands for `-`."""
        raw = document if isinstance(document, bytes) else orjson.dumps(document)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", path, raw, {"content-type": "application/json", **named})
