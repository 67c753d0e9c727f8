"""What servers share that answer as a test tells them to."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

Server = TypeVar("Server", bound=ThreadingHTTPServer)


class ScriptedHandler(BaseHTTPRequestHandler):
    """Keeps connections open, and says nothing of them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read a request whole."""
        self.posted(self.rfile.read(int(self.headers["content-length"])))

    def posted(self, body: bytes) -> None:
        """Answer a request."""
        raise NotImplementedError

    def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server inside the block."""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
