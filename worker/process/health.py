"""/livez, /readyz and /metrics on a port of their own, in daemon threads.

Invariant: no client costs more than a thread for a few seconds, and no number of them keeps a probe from its answer:
beyond the most connections the oldest is dropped.
"""

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, Final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from worker.errors import SettingsError
from worker.process.masking import masked

log = structlog.get_logger()

Check = Callable[[], str | None]
"""Returns None where all is well, else what is wrong."""

MAX_CONNECTIONS: Final = 16
DEADLINE_S: Final = 10.0
"""From a connection to the end of its answer; probes and collectors take milliseconds."""
_DROPPED: Final = float("inf")


class HealthServer:
    """The HTTP server.

    Args:
        host: Address to listen on, IPv4 or IPv6; `::` listens on both.
        port: Port; 0 picks a free one.
        live: Liveness: a failure asks for a restart.
        ready: Readiness: a failure says that the worker does not take its share now.
        registry: Metrics to expose.
        deadline_s: Longest time of one connection.

    Raises:
        SettingsError: the port is taken, or the address is not one of this machine.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        live: Check,
        ready: Check,
        registry: CollectorRegistry,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        checks = {"/livez": live, "/readyz": ready}

        class Handler(_QuietHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self.answer(HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST)
                elif (check := checks.get(path)) is not None:
                    problem = check()
                    status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
                    self.answer(status, f"{masked(problem or 'ok')}\n".encode(), "text/plain; charset=utf-8")
                else:
                    self.answer(HTTPStatus.NOT_FOUND, b"expected /livez, /readyz or /metrics\n", "text/plain")

            do_HEAD = do_GET  # noqa: N815  the name is http.server's

        try:
            self._server = _bound(host, port, Handler, deadline_s)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SettingsError(
                f"MODERATION_HTTP__HOST, MODERATION_HTTP__PORT: cannot listen on {host!r} port {port} ({reason}); "
                "expected an address of this machine and a port that nobody else has; choose another port, or 0 to "
                "serve none"
            ) from error
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _QuietHandler(BaseHTTPRequestHandler):
    """Answers one request per connection and logs none: probes come every few seconds."""

    server_version = "verdictstream"
    sys_version = ""

    def answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        """Send an answer; without its body where only the head is asked for."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


def _bound(host: str, port: int, handler: type[_QuietHandler], deadline_s: float) -> "_BoundedServer":
    """Return the server, listening.

    Raises:
        OSError, UnicodeError: the host is unknown, or the port is taken.
    """
    bare = host.removeprefix("[").removesuffix("]") or None
    found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name with both kinds of address means IPv4, as it always did.
    family, _, _, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    return _BoundedServer(family, address, handler, deadline_s)


class _BoundedServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, family: socket.AddressFamily, address: tuple[Any, ...], handler: type[_QuietHandler], deadline_s: float
    ) -> None:
        self.address_family = family
        self._deadline_s = deadline_s
        self._lock = threading.Lock()
        self._opened: dict[socket.socket, float] = {}
        """Connections that are being answered, oldest first, and when each is to be dropped (monotonic)."""
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Listen, for IPv4 too where the address is IPv6's any."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # HTTPServer's own would ask the DNS for the name of the address, which may take minutes to fail.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; where too many are at work, the oldest connection is dropped first."""
        with self._lock:
            if len(self._opened) >= 2 * MAX_CONNECTIONS:
                # Dropped ones do not end: their threads wait for a CPU, not for their clients.
                super().shutdown_request(request)
                return
            if len(self._opened) >= MAX_CONNECTIONS:
                for connection in [one for one, at in self._opened.items() if at != _DROPPED][:1]:
                    self._drop(connection)
            self._opened[request] = time.monotonic() + self._deadline_s
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Drop connections that take too long; called twice a second."""
        now = time.monotonic()
        with self._lock:
            for connection, at in self._opened.items():
                if at <= now:
                    self._drop(connection)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._opened.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log what failed; a client that went away or was dropped is nothing to tell of."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            log.error("health_request_failed", peer=str(client_address[0]), exc_info=error)

    def _drop(self, connection: socket.socket) -> None:
        """End a connection's reads and writes, so that its thread ends. Under the lock."""
        self._opened[connection] = _DROPPED
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
