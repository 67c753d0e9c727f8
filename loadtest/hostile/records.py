"""Records that are dear to whoever decodes them, each within the byte limit of an event. Pure.

Some are valid chat events, and must get a verdict; the others must be dead-lettered. Which is which is the worker's
business: here every record must end as one of the two.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import orjson

N_BYTES: Final = 1_990_000
"""Of each record; the worker's limit is 2,000,000."""


@dataclass(frozen=True)
class HostileKind:
    """One way to be dear: a record is a chat of its own that ends in these bytes."""

    name: str
    rest: Callable[[], bytes]

    def record(self, number: int) -> bytes:
        """Return the record of this number."""
        # A text of its own, so that each of them is classified.
        own = b'{"role":"user","content":"my number is %d"}' % number
        return b'{"chat_id":"hostile-%d","event_id":%d,"messages":[%b,' % (number, number, own) + _kept(self.rest)


@cache
def _kept(rest: Callable[[], bytes]) -> bytes:
    return rest()


def _encoded(value: object) -> bytes:
    return orjson.dumps(value)


def _messages(*contents: str) -> bytes:
    return _encoded([{"role": "user", "content": content} for content in contents])[1:] + b"}"


def _with_context(context: Callable[[int], Any]) -> Callable[[], bytes]:
    def rest() -> bytes:
        # As much of it as there is room for; its size does not grow quite evenly.
        n = 1_000
        for _ in range(4):
            n = (N_BYTES - 1_000) * n // len(_encoded(context(n)))
        return _messages("which phone should i buy")[:-1] + b',"context":' + _encoded(context(n)) + b"}"

    return rest


def _of_letters(n_messages: int) -> Callable[[], bytes]:
    return lambda: _messages("hello there", *("abcdefgh"[n % 8] for n in range(n_messages)))


def _of_text(piece: str) -> Callable[[], bytes]:
    """Return six long messages: as many as the window holds."""
    return lambda: _messages(*[piece * (N_BYTES // 6 // len(piece.encode()) - 20)] * 6)


def _nested(depth: int) -> list[Any]:
    return [_nested(depth - 1)] if depth > 1 else []


KINDS: Final = (
    HostileKind("context of empty lists", _with_context(lambda n: [[[[]]]] * n)),
    HostileKind("context nested 190 deep", _with_context(lambda n: [_nested(190)] * (n // 190))),
    HostileKind("context of names", _with_context(lambda n: {f"{i:x}": i % 7 for i in range(n)})),
    HostileKind("65,000 messages of a letter", _of_letters(65_000)),
    HostileKind("9,900 messages of a letter", _of_letters(9_900)),
    HostileKind("text that grows 18-fold", _of_text("\ufdfa")),
    HostileKind("text of combining marks", _of_text("e\u0316\u0301\u0345")),
    # One emoji makes four bytes of every letter.
    HostileKind("text of 4 bytes a letter", lambda: _messages("\U0001f600" + "word " * (N_BYTES // 5 - 50))),
)
