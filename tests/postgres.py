"""A PostgreSQL of the tests' own, from Debian's package: a new cluster in a new folder, on a port of its own."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import psycopg

from deploy.local.ports import free_ports
from testkit.waiting import wait_until

_BINARIES: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_USER: Final = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this user."""
_STOP_S: Final = 30.0


def _program(name: str) -> str:
    for folder in _BINARIES:
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"found no program {name}; expected PostgreSQL; install Debian's package postgresql")
    return found


class PostgresServer:
    """A server that can be stopped, killed and started again on its data; a context manager."""

    def __init__(self) -> None:
        # Not below pytest's folder, which its other user may not enter.
        self._folder = Path(tempfile.mkdtemp(prefix="verdictstream-postgres-"))
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        (self.port,) = free_ports(1)
        self._user = _USER if os.geteuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # Trust, because it listens on loopback and lives as long as a test.
        arguments = [_program("initdb"), "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(arguments, check=True, capture_output=True, user=self._user, cwd=self._folder)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={self.port}", "-c", "fsync=off"]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [_program("postgres"), "-D", str(self._data), "-k", str(self._folder), *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self._user,
                cwd=self._folder,
            )
        wait_until(self._answers, timeout_s=60, what=lambda: self._log.read_text("utf-8", "replace"))

    def stop(self) -> None:
        """End it as an operator in a hurry does: open connections are ended, nothing is lost."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does; its children notice and end."""
        self._end(signal.SIGQUIT)

    def new_database(self) -> str:
        """Make a database and return its SQLAlchemy address."""
        name = f"console_{uuid4().hex[:8]}"
        with psycopg.connect(self._address(_USER), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{name}"

    def _end(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.send_signal(number)
            self._child.wait(_STOP_S)
            self._child = None

    def _answers(self) -> bool:
        assert self._child is not None
        assert self._child.poll() is None, self._log.read_text("utf-8", "replace")
        try:
            with psycopg.connect(self._address(_USER), connect_timeout=5):
                return True
        except psycopg.OperationalError:
            return False

    def _address(self, database: str) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"
