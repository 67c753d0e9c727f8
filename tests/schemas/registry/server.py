"""A schema registry of ours: the part of Confluent's REST API that registering uses, over real HTTP.

It answers as the API's reference says, error codes included. A schema's id and GUID follow its text in every subject.
The rules of compatibility are this project's own, in the direction that the level asks for.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import NAMESPACE_URL, uuid5

from schemas.compatibility import Direction, breaking_changes

_DIRECTIONS = {"FORWARD": Direction.OUTPUT, "BACKWARD": Direction.INPUT}


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class RegistryServer:
    """A registry on a loopback port.

    Args:
        login: `user:password` that it asks for; None: anybody may write.
        has_guids: Whether it knows GUIDs, as Confluent's from 8.0 on does.
    """

    def __init__(self, login: str | None = None, *, has_guids: bool = True) -> None:
        self.login, self.has_guids = login, has_guids
        self.subjects: dict[str, list[str]] = {}
        self.levels: dict[str, str] = {}
        self.ids: dict[str, int] = {}
        self.requests: list[str] = []
        """Method and path of all that were asked."""
        self.redirect_to: str | None = None
        self.url = ""

    @property
    def writes(self) -> list[str]:
        """What changed something."""
        return [
            request
            for request in self.requests
            if request.startswith("PUT ") or (request.startswith("POST /subjects/") and request.endswith("/versions"))
        ]

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return what the API answers.

        Raises:
            RefusedError: another status.
        """
        match method, [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]:
            case "POST", ["subjects", subject]:
                return self._found(subject, body["schema"])
            case "POST", ["subjects", subject, "versions"]:
                return self._register(subject, body)
            case "POST", ["compatibility", "subjects", subject, "versions"]:
                if subject not in self.subjects:
                    raise RefusedError(404, 40401, f"Subject '{subject}' not found.")
                problems = self._problems(subject, body["schema"])
                return {"is_compatible": not problems, "messages": problems}
            case "GET", ["config", subject]:
                if subject not in self.levels:
                    raise RefusedError(404, 40408, f"Subject '{subject}' does not have subject-level compatibility.")
                return {"compatibilityLevel": self.levels[subject]}
            case "PUT", ["config", subject]:
                self.levels[subject] = body["compatibility"]
                return {"compatibility": body["compatibility"]}
        raise RefusedError(404, 404, "HTTP 404 Not Found")

    def _found(self, subject: str, text: str) -> dict[str, Any]:
        if subject not in self.subjects:
            raise RefusedError(404, 40401, f"Subject '{subject}' not found.")
        if text not in self.subjects[subject]:
            raise RefusedError(404, 40403, "Schema not found")
        guid = {"guid": str(uuid5(NAMESPACE_URL, text))} if self.has_guids else {}
        version = self.subjects[subject].index(text) + 1
        return {"subject": subject, "id": self.ids[text], "version": version, **guid, "schema": text}

    def _register(self, subject: str, body: dict[str, Any]) -> dict[str, Any]:
        text = body["schema"]
        if body.get("schemaType") != "JSON" or not isinstance(json.loads(text), dict):
            raise RefusedError(422, 42201, "Invalid schema")
        held = self.subjects.get(subject, [])
        if text not in held:
            if problems := self._problems(subject, text):
                raise RefusedError(409, 409, f"incompatible with an earlier schema: {problems}")
            self.ids.setdefault(text, len(self.ids) + 1)
            self.subjects[subject] = [*held, text]
        return {"id": self.ids[text]}

    def _problems(self, subject: str, text: str) -> list[str]:
        direction = _DIRECTIONS.get(self.levels.get(subject, "BACKWARD"))
        if direction is None or not self.subjects.get(subject):
            return []
        return [*breaking_changes(json.loads(self.subjects[subject][-1]), json.loads(text), direction)]


def _handler(server: RegistryServer) -> type[BaseHTTPRequestHandler]:
    expected = None if server.login is None else f"Basic {base64.b64encode(server.login.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            server.requests.append(f"{self.command} {self.path}")
            if server.redirect_to is not None:
                self.send_response(307)
                self.send_header("location", server.redirect_to + self.path)
                self.end_headers()
                return
            try:
                self._check_login()
                status, found = 200, server.answer(self.command, self.path, json.loads(body or b"{}"))
            except RefusedError as refused:
                status, found = refused.status, {"error_code": refused.code, "message": str(refused)}
            said = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/vnd.schemaregistry.v1+json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def _check_login(self) -> None:
            if expected is not None and self.headers.get("authorization") != expected:
                raise RefusedError(401, 40101, "Unauthorized")

        do_GET = do_POST = do_PUT = _serve  # noqa: N815  the base class's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving(server: RegistryServer) -> Iterator[RegistryServer]:
    """Serve on a free loopback port until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


StartRegistry = Callable[..., RegistryServer]
