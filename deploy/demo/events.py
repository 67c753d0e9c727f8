"""What the demo publishes, and in which order: a pure, seeded function of the lines of the events file.

Every line is published once as it is. Besides, some chats are published in an earlier state first and grow later, some
are repeated, and some records are malformed.

Invariants: records of one chat keep the order of the file; an earlier state comes before the grown one, in an earlier
phase; a repeat comes after its original, in a later phase, so that its verdict can be known by then.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import orjson

from deploy.demo.errors import EventsError
from deploy.demo.malformed import MALFORMED
from schemas import CodecLimits, RecordRejected, Role, decode_chat_event

MAX_RECORD_BYTES: Final = 20_000_000
"""Largest line that the local broker takes, a little under its limit of 20 MiB."""

_MOST_HELD_BACK: Final = 50
_MOST_GROWN: Final = 20
_MOST_REPEATS: Final = 25
_CHATS_PER_ROLE: Final = 8
"""Of a short file, one chat in eight may grow, one in eight is repeated and two in eight are held back."""

_LIMITS: Final = CodecLimits()


class Kind(StrEnum):
    """What a published record is."""

    CHAT = "chat"
    """A line of the file."""
    EARLIER = "earlier state"
    """The beginning of a chat that grows later."""
    GROWN = "grown chat"
    """A line of the file, after its beginning was published."""
    REPEAT = "repeat"
    """A line of the file for the second time."""
    MALFORMED = "malformed"
    """Made to be rejected."""


class Phase(StrEnum):
    """When a record is published."""

    FIRST = "first"
    """Alone: its answer says that the worker is ready."""
    BACKLOG = "backlog"
    """All at once, for the throughput."""
    PACED = "paced"
    """One at a time, for the latency."""


@dataclass(frozen=True, slots=True)
class Publication:
    """One record to publish."""

    kind: Kind
    key: bytes | None
    value: bytes | None
    label: str | None = None
    """Category code that the file gives the chat, where it gives one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All records of a run, phase by phase, in order."""

    first: Publication
    backlog: tuple[Publication, ...]
    paced: tuple[Publication, ...]

    @property
    def n_events(self) -> int:
        """Records in all phases."""
        return 1 + len(self.backlog) + len(self.paced)


def read_lines(path: Path, *, limit: int | None) -> list[bytes]:
    """Read the lines of an events file; blank ones are left out.

    Raises:
        EventsError: The file cannot be read, has no lines, or a line is too large for the broker.
    """
    try:
        with path.open("rb") as file:
            stripped = (line.strip() for line in file)
            lines = list(islice((line for line in stripped if line), limit))
    except OSError as error:
        raise EventsError(
            f"{path}: {error.strerror}; expected a readable file of chat events, one JSON object per line"
        ) from error
    if not lines:
        raise EventsError(f"{path}: no line in it; expected chat events, one JSON object per line")
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_RECORD_BYTES:
            raise EventsError(
                f"{path}: line {number} (blank ones not counted) has {len(line)} bytes; expected at most "
                f"{MAX_RECORD_BYTES}, what the local broker takes; leave the line out"
            )
    return lines


def make_plan(lines: Sequence[bytes], *, seed: int, codes: Collection[str]) -> Plan:
    """Decide what is published when.

    Args:
        lines: At least one; each is published as it is.
        seed: Same lines and seed: same plan.
        codes: Of the bundle's taxonomy; any other label of a chat is left aside.
    """
    random = Random(seed)  # noqa: S311  a choice of examples, not of secrets
    chats = [_as_chat(line, codes) for line in lines]
    # Only a chat with one line may move to another place: lines of the same chat keep their order.
    n_lines_of = Counter(chat.key for chat in chats)
    movable = [i for i in range(1, len(chats)) if n_lines_of[chats[i].key] == 1]
    random.shuffle(movable)
    most = max(1, len(lines) // _CHATS_PER_ROLE)
    earlier = _first_found(movable, lambda i: _earlier_state(chats[i]), min(_MOST_GROWN, most))
    free = [i for i in movable if i not in earlier]
    repeats = _first_found(
        free,
        lambda i: _with_kind(chats[i], Kind.REPEAT) if _is_judgeable(chats[i].value) else None,
        min(_MOST_REPEATS, most),
    )
    held_back = set([i for i in free if i not in repeats][: min(_MOST_HELD_BACK, 2 * most)])
    malformed = [Publication(Kind.MALFORMED, key.encode(), bad.value) for key, bad in MALFORMED.items()]
    backlog = [earlier.get(i, chat) for i, chat in enumerate(chats) if i not in held_back][1:]
    paced = [
        *(_with_kind(chats[i], Kind.GROWN) for i in earlier),
        *repeats.values(),
        *(chats[i] for i in sorted(held_back)),
    ]
    random.shuffle(paced)
    return Plan(
        first=chats[0],
        backlog=tuple(_spread(malformed[::2], among=backlog, random=random)),
        paced=tuple(_spread(malformed[1::2], among=paced, random=random)),
    )


def _as_chat(line: bytes, codes: Collection[str]) -> Publication:
    """Read key and label from a line, where it has them; a line that is no event is published all the same."""
    document = _parsed(line)
    chat_id, label = document.get("chat_id"), document.get("category")
    return Publication(
        Kind.CHAT,
        key=chat_id.encode() if isinstance(chat_id, str) else None,
        value=line,
        label=label if isinstance(label, str) and label in codes else None,
    )


def _earlier_state(chat: Publication) -> Publication | None:
    """Return the chat as it was before its last question; None where that was no conversation yet."""
    document = _parsed(chat.value or b"")
    messages = document.get("messages")
    if not isinstance(messages, list) or not _is_judgeable(chat.value):
        return None
    questions = [i for i, message in enumerate(messages) if message["role"] == Role.USER]
    if not questions or questions[-1] == 0:
        return None
    value = orjson.dumps({**document, "messages": messages[: questions[-1]]})
    # The label was given to the whole conversation, not to its beginning.
    return Publication(Kind.EARLIER, chat.key, value) if _is_judgeable(value) else None


def _first_found(
    candidates: Iterable[int], make: Callable[[int], Publication | None], n_wanted: int
) -> dict[int, Publication]:
    found = ((i, made) for i in candidates if (made := make(i)) is not None)
    return dict(islice(found, n_wanted))


def _with_kind(chat: Publication, kind: Kind) -> Publication:
    return Publication(kind, chat.key, chat.value, chat.label)


def _spread(extra: Sequence[Publication], *, among: Sequence[Publication], random: Random) -> list[Publication]:
    """Put `extra` at random places; the others keep their order."""
    mixed = list(among)
    for publication in extra:
        mixed.insert(random.randint(0, len(mixed)), publication)
    return mixed


def _is_judgeable(value: bytes | None) -> bool:
    try:
        decode_chat_event(value, _LIMITS)
    except RecordRejected:
        return False
    return True


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
