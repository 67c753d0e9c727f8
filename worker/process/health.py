"""/livez, /readyz and /metrics on a port of their own, in a daemon thread."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

Check = Callable[[], str | None]
"""Returns None where all is well, else what is wrong."""


class HealthServer:
    """The HTTP server.

    Args:
        host: Address to listen on.
        port: Port; 0 picks a free one.
        live: Liveness: a failure asks for a restart.
        ready: Readiness: a failure says that the worker does not take its share now.
        registry: Metrics to expose.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, *, host: str, port: int, live: Check, ready: Check, registry: CollectorRegistry) -> None:
        checks = {"/livez": live, "/readyz": ready}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
                elif (check := checks.get(self.path)) is not None:
                    problem = check()
                    status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
                    self._answer(status, f"{problem or 'ok'}\n".encode(), "text/plain; charset=utf-8")
                else:
                    self._answer(
                        HTTPStatus.NOT_FOUND,
                        b"expected /livez, /readyz or /metrics\n",
                        "text/plain",
                    )

            def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Stay silent: probes come every few seconds."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
