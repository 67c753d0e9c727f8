"""What flows in: the sample chats as people would have had them, question by question, without an end.

Invariants: the states of one chat come in order and each is longer than the one before. No two rounds share a chat id.
Same lines and seed: same records.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from random import Random
from typing import Any, Final

import orjson

from deploy.demo.malformed import MALFORMED
from schemas import Role
from testkit.records import InputRecord

_OPEN_CHATS: Final = 12
"""Conversations that go on at the same time."""
_MALFORMED_EVERY: Final = 60
"""About one record of so many is malformed."""


def endless(lines: Sequence[bytes], *, seed: int) -> Iterator[InputRecord]:
    """Yield records for ever.

    Args:
        lines: Chats, one JSON object each, at least one.
        seed: Chooses the order, and where malformed records stand.
    """
    random = Random(seed)  # noqa: S311  an order of examples, not of secrets
    coming = _conversations(lines, random)
    open_chats = [next(coming) for _ in range(_OPEN_CHATS)]
    while True:
        if random.randrange(_MALFORMED_EVERY) == 0:
            key, bad = random.choice(list(MALFORMED.items()))
            yield InputRecord(key.encode(), bad.value)
        place = random.randrange(len(open_chats))
        yield open_chats[place].pop(0)
        if not open_chats[place]:
            open_chats[place] = next(coming)


def _conversations(lines: Sequence[bytes], random: Random) -> Iterator[list[InputRecord]]:
    """Yield every chat's states, round after round; from the second round on under new ids."""
    for number in count(1):
        for line in random.sample(lines, len(lines)):
            yield states_of(orjson.loads(line), suffix="" if number == 1 else f".{number}")


def states_of(chat: dict[str, Any], *, suffix: str) -> list[InputRecord]:
    """Return a chat as it was after each of its questions, and last as it is; at least one record.

    Args:
        chat: `chat_id` and `messages`; other fields, such as a label, are left out.
        suffix: Makes its id another one.
    """
    chat_id, messages = f"{chat['chat_id']}{suffix}", chat["messages"]
    ends = [i + 1 for i, message in enumerate(messages) if message["role"] == Role.USER]
    return [
        InputRecord(chat_id.encode(), orjson.dumps({"chat_id": chat_id, "messages": messages[:end]}))
        for end in sorted({*ends, len(messages)})
    ]
