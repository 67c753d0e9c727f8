"""A PostgreSQL of the tests' own, by the programs of Debian's package: `make setup-postgres`.

`POSTGRES_BIN` names a folder with others. Where there is none the tests fail.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlalchemy import create_engine, text

from testkit.waiting import wait_until

_REMEDY: Final = "make setup-postgres installs Debian's; POSTGRES_BIN names the folder of another one"
_UNPRIVILEGED: Final = "postgres"
"""User under which root starts it: initdb refuses root."""


class Postgres:
    """A server of PostgreSQL.

    Args:
        folder: A short path that its user may enter; the socket lies in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bin = programs()
        self._data = folder / "data"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        if os.getuid() == 0:
            user = pwd.getpwnam(_UNPRIVILEGED)
            os.chown(folder, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", "console", "--auth=trust", "--no-sync", "-E", "UTF8")
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Durability is not what these tests ask of it: no test cuts the power.
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off -c max_connections=50"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-w", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is what a crash leaves."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def new_database(self) -> str:
        """Make a database; return its SQLAlchemy address."""
        name = f"console_{uuid4().hex[:12]}"
        engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg://console@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        user = _UNPRIVILEGED if os.getuid() == 0 else None
        # Its output goes to a file: a server that has inherited a pipe would keep its reader waiting.
        with (self._folder / "output").open("ab") as output:
            done = subprocess.run(
                [str(self._bin / program), *arguments],
                user=user,
                extra_groups=[] if user else None,
                cwd=self._folder,
                stdout=output,
                stderr=output,
                timeout=120,
                check=False,
            )
        if done.returncode:
            told = (self._folder / "output").read_text(errors="replace")[-2_000:]
            raise AssertionError(f"{program} ended with {done.returncode}: {told}")


def programs() -> Path:
    """Return the folder of PostgreSQL's programs.

    Raises:
        AssertionError: there is none.
    """
    named = os.environ.get("POSTGRES_BIN")
    folders = [Path(named)] if named else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise AssertionError(f"found no PostgreSQL; expected one; {_REMEDY}")


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Give a server; it is gone afterwards."""
    # Not below pytest's folders: they are for their owner alone, and too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        server = Postgres(folder)
        wait_until((folder / f".s.PGSQL.{server.port}").exists, timeout_s=30)
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
