"""The process: load the bundle, listen, serve until a signal, end in order."""

import gc
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import structlog
import uvicorn

from console.app import AddPages, make_app
from console.errors import SettingsError
from console.metrics import Metrics
from console.operations import open_operations
from console.port.keys import Keys
from console.port.proxy import ProxyPeople
from console.port.rate import RateLimits
from console.port.sessions import Sessions, session_secret
from console.port.users import Users, check_names
from console.service import load_service
from console.settings.console import ConsoleSettings

_KEEP_ALIVE_S: Final = 75
_BACKLOG: Final = 1_024

log = structlog.get_logger()


class _Server(uvicorn.Server):
    """Says when it listens; ends on SIGTERM and SIGINT, and leaves the exit code to its caller.

    uvicorn itself would raise the signal once more.
    """

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def serve(
    settings: ConsoleSettings,
    announce: Callable[[str], None],
    pages: Sequence[AddPages] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str | None:
    """Serve until a signal.

    Order of the end: no new connection, the requests in hand, then the classifier's thread.

    Args:
        settings: Everything.
        announce: Told the address once requests are answered.
        pages: What is served besides the API.
        environment: Holds the MODERATION_ variables of the pipeline that is followed.

    Returns:
        Why the process ended by itself; None where it was asked to.

    Raises:
        BundleError, PolicyError: the model or a policy is refused.
        SettingsError: a file of the settings is refused, or the port cannot be listened on.
    """
    metrics = Metrics()
    http = settings.http
    keys = (
        None
        if http.keys_file is None
        else Keys(http.keys_file, default_per_s=http.conversations_per_s, on_state=metrics.keys_outdated.set)
    )
    users = (
        None
        if http.users_file is None
        else Users(http.users_file, default_per_s=http.conversations_per_s, on_state=metrics.users_outdated.set)
    )
    check_names(keys, users)
    has_logins = keys is not None or users is not None
    sessions = Sessions(keys, session_secret(http.session_secret_file), users=users) if has_logins else None
    bound = _bound(http.host, http.port)
    with bound:
        service = load_service(settings, metrics, open_operations(settings, environment, metrics))
        server = _Server(
            uvicorn.Config(
                make_app(service, keys, pages, sessions, _people(settings, metrics)),
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                # Who a request comes from is nobody's to say but the connection's.
                proxy_headers=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=max(1, round(http.stop_within_s)),
            ),
            on_listening=lambda: announce(_address(bound, http.host)),
        )
        # A look for cycles through all that was loaded stops the event loop for a tenth of a second, on a busy machine
        # for longer than a client's deadline.
        gc.collect()
        gc.freeze()
        if service.operations is not None:
            service.operations.start()
        service.judge.start(on_end=lambda: setattr(server, "should_exit", True))
        log.info("console_started", model=service.bundle.ref.model_dump(), keys=keys is not None)
        try:
            server.run(sockets=[bound])
        finally:
            log.info("console_stopping")
            service.close()
    log.info("console_stopped")
    return service.judge.ended_by


def _people(settings: ConsoleSettings, metrics: Metrics) -> ProxyPeople | None:
    proxy = settings.proxy
    if proxy.secret_file is None:
        return None
    per_s = settings.http.conversations_per_s
    return ProxyPeople(
        proxy,
        session_secret(proxy.secret_file),
        limits=None if per_s is None else RateLimits(per_s, max(1.0, 2 * per_s), time.monotonic),
        on_ignored=lambda reason: metrics.identity_ignored.labels(reason=reason).inc(),
    )


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that holds the port; nobody can connect before the server listens."""
    # With its protocol named, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an ACK.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise SettingsError(
            f"http.host={host} http.port={port}: cannot be listened on ({error.strerror}); expected a free port of "
            "this machine; choose another, or 0 for any"
        ) from error
    return bound


def _address(bound: socket.socket, host: str) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}"
