"""Check the database's address without asking the database."""

from pathlib import Path
from typing import Final

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from console.errors import SettingsError

_DRIVERS: Final = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_EXPECTED: Final = "expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"


def check_address(url: str) -> str:
    """Return what an address names, without user and password.

    Raises:
        SettingsError: it is not understood, or names a file in a folder that is not there. The text quotes no password.
    """
    try:
        found = make_url(url)
    except ArgumentError:
        raise SettingsError(f"store.url is not understood; {_EXPECTED}") from None
    if found.drivername not in _DRIVERS:
        raise SettingsError(f"store.url names {found.drivername}; {_EXPECTED}")
    if found.get_backend_name() == "sqlite":
        file = found.database
        if not file or file == ":memory:":
            raise SettingsError(f"store.url names no file, so that a restart would lose the queue; {_EXPECTED}")
        if not Path(file).absolute().parent.is_dir():
            raise SettingsError(f"store.url names {file}, and its folder is not there; {_EXPECTED}; make the folder")
        return f"SQLite in {file}"
    if not found.host or not found.database:
        raise SettingsError(f"store.url names no host or no database; {_EXPECTED}")
    return f"PostgreSQL on {found.host}, database {found.database}"
