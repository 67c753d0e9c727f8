"""The newest verdict of each chat, decided twice, in a file on disk: memory does not grow with the number of chats."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final, Self

import orjson

from model.policies.simulate import Case, Said
from schemas import Decision, Verdict
from worker.cache.outcome_order import Outcome, Versions, is_newer, verdict_outcome
from worker.errors import Fatal
from worker.simulate.verdicts import WrittenVerdict

_CACHE_KIB: Final = 65_536
"""What SQLite keeps in memory."""


class NewestCases:
    """Takes cases in any order; the newest of each chat counts, by the rule of the verdict cache.

    Raises:
        Fatal: at its end, where the file could not be written or read.
    """

    def __init__(self) -> None:
        # An empty name: a file of this connection alone, in the folder for temporary files, gone with it.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("CREATE TABLE cases (chat TEXT PRIMARY KEY, outcome BLOB, said BLOB) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise Fatal(
                f"the temporary file of --newest: {error}; expected room for some 500 bytes a chat; name another "
                "folder with SQLITE_TMPDIR, or leave --newest out"
            ) from error

    def offer(self, case: Case, verdict: Verdict, written: WrittenVerdict) -> None:
        """Take the case of a verdict, unless there is a newer one of the chat."""
        outcome = verdict_outcome(verdict, written.place, written.published_ms)
        found = self._database.execute("SELECT outcome FROM cases WHERE chat = ?", (case.chat_id,)).fetchone()
        if found is not None and not is_newer(outcome, _outcome(found[0])):
            return
        self._database.execute(
            "INSERT OR REPLACE INTO cases VALUES (?, ?, ?)",
            (case.chat_id, _dumped(outcome), _dumped(case[1:])),
        )

    def __iter__(self) -> Iterator[Case]:
        with closing(self._database.execute("SELECT chat, said FROM cases ORDER BY chat")) as rows:
            for chat_id, raw in rows:
                set_aside, old, new = orjson.loads(raw)
                yield Case(chat_id, set_aside, _said(old), _said(new))


def _outcome(stored: bytes) -> Outcome:
    fields = orjson.loads(stored)
    return Outcome(*fields)._replace(place=tuple(fields[4]), versions=Versions(*fields[6]))


def _said(fields: list[Any] | None) -> Said | None:
    return None if fields is None else Said(Decision(fields[0]), fields[1], fields[2])


def _dumped(values: Sequence[object]) -> bytes:
    # A named tuple is none of the types that orjson knows.
    return orjson.dumps(values, default=list)
