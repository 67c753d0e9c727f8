"""Five chats that are shown with their text. They are ours to show: those of the sample and no others.

Invariant: no text of an events file that somebody names is printed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from deploy.demo.account import Answer, Entry, VerdictSeen
from deploy.demo.events import Kind
from schemas import Role

_CHOSEN: Final = ("sample-0124", "sample-0686", "sample-1310", "sample-0117", "sample-0147")
"""Of the sample: one that is allowed, one in another language, one that is not sure, two that are banned."""
_LONGEST: Final = 90
"""Characters; a longer chat is shown only where the chosen ones were left out."""


@dataclass(frozen=True, slots=True)
class ShownChat:
    """A chat and what its user asked last."""

    chat_id: str
    text: str


def chats_to_show(lines: Iterable[bytes]) -> tuple[ShownChat, ...]:
    """Return the chosen chats of the sample; of a part of it that lacks some, short ones from its beginning too."""
    found = {chat.chat_id: chat for line in lines if (chat := _chat(line)) is not None}
    chosen = [found[chat_id] for chat_id in _CHOSEN if chat_id in found]
    others = [chat for chat in found.values() if chat not in chosen and len(chat.text) <= _LONGEST]
    return (*chosen, *others[: len(_CHOSEN) - len(chosen)])


def _chat(line: bytes) -> ShownChat | None:
    document: dict[str, Any] = orjson.loads(line)
    asked = [str(message["content"]) for message in document["messages"] if message["role"] == Role.USER]
    text = " ".join(asked[-1].split()) if asked else ""
    return ShownChat(document["chat_id"], text) if text else None


def with_verdicts(
    shown: Sequence[ShownChat], closed: Iterable[tuple[Entry, Answer]]
) -> tuple[tuple[ShownChat, VerdictSeen], ...]:
    """Return the shown chats that have a verdict, with it."""
    of_chat = {
        answer.chat_id: answer
        for entry, answer in closed
        if isinstance(answer, VerdictSeen) and entry.kind is not Kind.EARLIER
    }
    return tuple((chat, of_chat[chat.chat_id]) for chat in shown if chat.chat_id in of_chat)
