"""The database as an earlier release made it: its statements for each kind of database, and rows of one in use."""

from pathlib import Path
from typing import Final

from sqlalchemy import create_engine

_HERE: Final = Path(__file__).parent


def make_layout_1(url: str) -> None:
    """Make an empty database's tables as layout 1 had them, with some rows."""
    engine = create_engine(url)
    files = (f"1.{engine.dialect.name}.sql", "1.rows.sql")
    with engine.begin() as connection:
        for statement in "".join((_HERE / name).read_text("utf-8") for name in files).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()
