"""Extract chats from a table: one message a row, with its label, its thread's earlier messages as context.

A message's own author speaks as `user`, other authors as `assistant`: the model reads what the user says more closely,
and looks for evidence there alone. Without an author column all speak as `user`.

Invariant: every row of the table ends as one chat or as one reject, and a chat is valid for the serving codec.
"""

import hashlib
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas import CodecLimits, RecordRejected, decode_chat_event, is_visible
from schemas.taxonomy import taxonomy_of
from training_pipeline.data.chat_rows import DropReason, Reject
from training_pipeline.data.errors import DataError
from training_pipeline.data.stage_files import (
    StageFiles,
    StageReport,
    digests,
    finished_report,
    rejects_path,
)
from training_pipeline.data.table_files import NoColumn, TableRow, is_table, read_table
from training_pipeline.data.table_labels import Labels, RowReason, counted, reject, without_repeats, without_single_rows

STAGE: Final = "extract"
_MILLISECONDS_FROM: Final = 1e11
"""A larger number is a time in milliseconds: in seconds it would lie past the year 5000."""


_Answer = TypeVar("_Answer")


class TableOptions(BaseModel):
    """What the columns of a table mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text_column: str = Field(min_length=1)
    label_column: str | None = None
    allowed: tuple[str, ...] = Field(default=(), description="Labels that are kept; empty keeps all.")
    taxonomy: str | None = Field(
        default=None, description="Name or file: labels become its codes, others are rejected."
    )
    id_column: str | None = None
    thread_column: str | None = None
    author_column: str | None = None
    time_column: str | None = None
    keep_columns: tuple[str, ...] = Field(default=(), description="Carried along as fields of the chats.")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    encoding: str | None = None

    @model_validator(mode="after")
    def _columns_go_together(self) -> Self:
        if self.label_column is None and (self.allowed or self.taxonomy):
            raise ValueError("found allowed labels or a taxonomy without label_column; name the column of the labels")
        if self.thread_column is None and (self.author_column or self.time_column):
            raise ValueError(
                "found author_column or time_column without thread_column; they order and mark its messages"
            )
        if taken := sorted(set(self.keep_columns) & _OWN_FIELDS):
            raise ValueError(f"keep_columns: {', '.join(taken)} are fields of every chat; rename the columns")
        return self

    @property
    def columns(self) -> list[str]:
        """All columns that are read, each once."""
        named = (
            self.text_column,
            self.label_column,
            self.id_column,
            self.thread_column,
            self.author_column,
            self.time_column,
            *self.keep_columns,
        )
        return list(dict.fromkeys(name for name in named if name is not None))


def table_options(paths: Sequence[Path], given: Mapping[str, Any]) -> TableOptions | None:
    """Return what the columns mean; None where the files are no tables.

    Args:
        paths: Files of records, or tables.
        given: The options that were given, by the field's name.

    Raises:
        DataError: tables and other files together, tables without a column of texts, or options that do not fit.
    """
    tables = [path for path in paths if is_table(path)]
    if not tables:
        if given:
            raise DataError(f"found {', '.join(sorted(given))} and no table; expected .csv, .tsv or .parquet files")
        return None
    if len(tables) < len(paths):
        raise DataError(f"found {tables[0]} beside files that are no tables; expected one kind; run it twice")
    if "text_column" not in given:
        raise DataError(f"{tables[0]}: a table; name the column of the texts with --text-column")
    try:
        return TableOptions.model_validate(given)
    except ValidationError as error:
        raise DataError("; ".join(fault["msg"] for fault in error.errors(include_url=False))) from error


_OWN_FIELDS: Final = frozenset({"chat_id", "messages", "category", "n_messages_total", "extracted_from", "thread"})


@dataclass
class _Message:
    """One row with text."""

    row: TableRow
    text: str
    thread: str | None
    author: str | None
    time: str | None
    label: str | None
    """Code of the category; None where there is no label column, or the label is refused."""
    refusal: tuple[RowReason, str] | None
    """Why it is no chat of its own; it still is context of its thread."""


def extract_table(paths: Sequence[Path], out: Path, options: TableOptions, *, last_messages: int) -> StageReport:
    """Run the stage; returns at once where its report says that nothing has changed.

    Raises:
        DataError: a table cannot be read, lacks a column, or no chat is left; the rejects then say why.
    """
    inputs, wanted = digests(paths), {"last_messages": last_messages, **options.model_dump(mode="json")}
    if finished := finished_report(out, STAGE, inputs, wanted):
        return finished
    taxonomy = None if options.taxonomy is None else taxonomy_of(options.taxonomy)
    labels = Labels(allowed=options.allowed, taxonomy=taxonomy)
    with StageFiles(out) as files:
        messages = _kept((_message(row, options, labels) for row in _rows(paths, options)), files)
        chats = _kept(_chats(messages, options, last_messages), files)
        for chat in _kept(without_single_rows(_kept(without_repeats(chats), files)), files):
            files.write(chat)
            labels.n_written[chat.get("category", "")] += 1
    if not files.n_written:
        out.unlink()
        raise DataError(
            f"{', '.join(map(str, paths))}: no chat is left of {sum(files.n_rejected.values())} rows "
            f"({counted(files.n_rejected)}); {labels.remedy()}; {rejects_path(out)} says why for each row"
        )
    return files.report(STAGE, inputs, wanted, labels.details())


def _rows(paths: Sequence[Path], options: TableOptions) -> Iterator[TableRow]:
    try:
        for path in paths:
            yield from read_table(path, options.columns, delimiter=options.delimiter, encoding=options.encoding)
    except NoColumn as error:
        raise DataError(f"{error}; {_remedy(options, error.missing)}") from error


def _remedy(options: TableOptions, missing: Sequence[str]) -> str:
    """Return what to set where columns are missing, as a recipe and as the command `extract` have it."""
    named = {name: getattr(options, name) for name in ("text_column", "label_column", *_MAY_BE_LEFT_OUT)}
    settings = [
        f"{name}={'null' if name in _MAY_BE_LEFT_OUT else 'YOURS'}"
        for name, column in named.items()
        if column in missing
    ]
    if kept := [name for name in options.keep_columns if name in missing]:
        left = ",".join(name for name in options.keep_columns if name not in missing)
        settings.append(f"keep_columns=[{left}]")
    quoted = [shlex.quote(f"stages.extract.table.{setting}") for setting in settings]
    remedy = f"in a recipe: --set {' --set '.join(quoted)}"
    if kept:
        remedy += f" (and --set stages.split.by=null where `split` goes by {' or '.join(kept)})"
    return f"{remedy}; `extract` has options of these names"


_MAY_BE_LEFT_OUT: Final = ("id_column", "thread_column", "author_column", "time_column")


def _kept(answers: Iterable[_Answer | Reject], files: StageFiles) -> list[_Answer]:
    """Return what is no reject; the rejects go to their file."""
    kept = []
    for answer in answers:
        if isinstance(answer, Reject):
            files.reject(answer)
        else:
            kept.append(answer)
    return kept


def _message(row: TableRow, options: TableOptions, labels: Labels) -> _Message | Reject:
    if row.error:
        return Reject(position=row.position, reason=RowReason.MALFORMED_ROW.value, error=row.error)
    text = (row.values[options.text_column] or "").strip()
    if not is_visible(text):
        error = f"column {options.text_column!r} holds no text"
        return Reject(position=row.position, reason=RowReason.EMPTY_TEXT.value, error=error)
    time, time_error = _time(_value(row, options.time_column), options.time_column)
    if time_error:
        return Reject(position=row.position, reason=RowReason.BAD_TIME.value, error=time_error)
    label = None if options.label_column is None else labels.of(row.values[options.label_column])
    refusal = label if isinstance(label, tuple) else None
    if options.id_column is not None and _value(row, options.id_column) is None:
        refusal = refusal or (RowReason.EMPTY_ID, f"column {options.id_column!r} holds no id")
    return _Message(
        row=row,
        text=text,
        thread=_value(row, options.thread_column),
        author=_value(row, options.author_column),
        time=time,
        label=label if isinstance(label, str) else None,
        refusal=refusal,
    )


def _value(row: TableRow, column: str | None) -> str | None:
    return None if column is None else (row.values[column] or "").strip() or None


def _time(value: str | None, column: str | None) -> tuple[str | None, str]:
    """Return a time in UTC, ISO 8601, and what is wrong with it."""
    if column is None:
        return None, ""
    try:
        moment = _epoch(value or "") or datetime.fromisoformat(value or "")
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), ""
    except (ValueError, OverflowError, OSError):
        return None, f"column {column!r} holds no time; expected ISO 8601, or seconds or milliseconds since 1970"


def _epoch(value: str) -> datetime | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return datetime.fromtimestamp(number / 1000 if abs(number) >= _MILLISECONDS_FROM else number, UTC)


def _chats(messages: list[_Message], options: TableOptions, last_messages: int) -> Iterator[dict[str, Any] | Reject]:
    """Yield each message with what came before it in its thread; in the order of the table."""
    threads: dict[str, list[int]] = defaultdict(list)
    for i, message in enumerate(messages):
        if message.thread is not None:
            threads[message.thread].append(i)
    before: dict[int, list[int]] = {}
    for members in threads.values():
        members.sort(key=lambda i: messages[i].time or "")
        before |= {i: members[max(0, n - last_messages + 1) : n] for n, i in enumerate(members)}
    ids: set[str] = set()
    for i, message in enumerate(messages):
        chat = _chat(message, [messages[j] for j in before.get(i, [])], options)
        if isinstance(chat, Reject):
            yield chat
        elif options.id_column is not None and chat["chat_id"] in ids:
            error = "an earlier row has the same id; expected each once"
            yield reject(message.row.position, DropReason.REPEATED_CHAT_ID, error, chat["chat_id"])
        else:
            ids.add(chat["chat_id"])
            yield chat


def _chat(message: _Message, earlier: Sequence[_Message], options: TableOptions) -> dict[str, Any] | Reject:
    position = message.row.position
    if message.refusal is not None:
        reason, error = message.refusal
        return Reject(position=position, reason=reason.value, error=error)
    turns = [_turn(turn, message.author) for turn in (*earlier, message)]
    digest = hashlib.blake2b(orjson.dumps([[turn["role"], turn["content"]] for turn in turns]), digest_size=16)
    chat_id = _value(message.row, options.id_column) or f"content-{digest.hexdigest()}"
    chat: dict[str, Any] = {"chat_id": chat_id, "messages": turns}
    try:
        decode_chat_event(orjson.dumps(chat), CodecLimits())
    except RecordRejected as rejection:
        return Reject(position=position, reason=rejection.reason.value, error=rejection.error)
    chat |= {"n_messages_total": len(turns), "extracted_from": position}
    if message.label is not None:
        chat["category"] = message.label
    if message.thread is not None:
        chat["thread"] = message.thread
    return chat | {name: message.row.values[name] for name in options.keep_columns}


def _turn(message: _Message, author: str | None) -> dict[str, Any]:
    is_other = author is not None and message.author is not None and message.author != author
    turn = {"role": "assistant" if is_other else "user", "content": message.text}
    return turn if message.time is None else turn | {"createdAt": message.time}
