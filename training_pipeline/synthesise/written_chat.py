"""Read what the writer wrote: messages of the cell's speakers, or why they are none.

Tolerant of form (fences, prose around the JSON, a bare list, other names of the fields), strict about substance: as
many messages as asked for, by the speakers named, the one that counts by who was to write it.

Where the last message counts, its author speaks as `user` and all others as `assistant`, as in a table's chats: who
learns from a row reads the last message of the user.

Invariant: whatever the model wrote, the result is a list of messages with a role, or a reason in our own words. Where
one message counts, it is the last one with the role user.
"""

import re
from typing import Any, Final

import jiter

from schemas import Role
from schemas.visible_text import is_visible
from training_pipeline.synthesise.brief import Labelled
from training_pipeline.synthesise.grid import Cell

_MAX_ANSWER_CHARACTERS: Final = 100_000
_MAX_MESSAGE_CHARACTERS: Final = 8_000
_FENCE: Final = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL | re.IGNORECASE)
_CONTENT: Final = ("content", "text", "message")
_SPEAKER: Final = ("speaker", "name", "author", "role", "from")

Messages = list[dict[str, Any]]


class NotAChat(Exception):  # noqa: N818  the name says what was found
    """The answer is no conversation of its cell.

    Args:
        found: Why not, without a word of the answer: it goes into the next prompt and into reports.
    """

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def parse_chat(text: str, cell: Cell, labelled: Labelled) -> Messages:
    """Return the messages as rows hold them: id, role, name, content.

    Raises:
        NotAChat: the text is anything else than a conversation of this cell.
    """
    document = _document(text)
    listed = document.get("messages", document.get("conversation")) if isinstance(document, dict) else document
    if not isinstance(listed, list) or not listed:
        raise NotAChat("there is no list of messages")
    fewest, most = cell.length.messages
    if not fewest <= len(listed) <= most:
        raise NotAChat(f"it has {len(listed)} messages; expected {fewest} to {most}")
    messages = [_message(message, i, cell) for i, message in enumerate(listed, start=1)]
    _require_who_counts(messages, cell, labelled)
    return _by_the_last_author(messages) if labelled is Labelled.LAST else messages


def _document(text: str) -> Any:
    if len(text) > _MAX_ANSWER_CHARACTERS:
        raise NotAChat(f"it has {len(text)} characters; expected at most {_MAX_ANSWER_CHARACTERS}")
    fenced = _FENCE.search(text)
    inner = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (text, fenced[1] if fenced else "", inner):
        try:
            return jiter.from_json(candidate.strip().encode("utf-8", "replace"), allow_inf_nan=False)
        except ValueError:
            continue
    raise NotAChat("it is not one whole JSON object")


def _message(message: object, number: int, cell: Cell) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise NotAChat(f"message {number} is no object")
    content = next((message[name] for name in _CONTENT if name in message), None)
    if not isinstance(content, str) or not is_visible(content):
        raise NotAChat(f"message {number} has no text")
    if len(content) > _MAX_MESSAGE_CHARACTERS:
        raise NotAChat(f"message {number} has more than {_MAX_MESSAGE_CHARACTERS} characters")
    given = next((message[name] for name in _SPEAKER if name in message), None)
    known = {speaker.name.casefold(): speaker for speaker in cell.speakers}
    speaker = known.get(given.strip().casefold()) if isinstance(given, str) else None
    if speaker is None:
        names = ", ".join(speaker.name for speaker in cell.speakers)
        raise NotAChat(f"the speaker of message {number} is none of {names}")
    return {"id": number, "role": speaker.role.value, "name": speaker.name, "content": content.strip()}


def _require_who_counts(messages: Messages, cell: Cell, labelled: Labelled) -> None:
    """Raise NotAChat unless the message that counts is written by the cell's first speaker."""
    first = cell.speakers[0].name
    if labelled is Labelled.CONVERSATION:
        if first not in {message["name"] for message in messages}:
            raise NotAChat(f"{first} writes no message")
    elif messages[labelled_message(messages, labelled)]["name"] != first:
        raise NotAChat(f"the message that is of the category is not written by {first}")


def _by_the_last_author(messages: Messages) -> Messages:
    author = messages[-1]["name"]
    roles = {True: Role.USER.value, False: Role.ASSISTANT.value}
    return [{**message, "role": roles[message["name"] == author]} for message in messages]


def labelled_message(messages: Messages, labelled: Labelled) -> int:
    """Return the position of the message that counts; of a whole conversation the user's last one, too."""
    if labelled is Labelled.LAST:
        return len(messages) - 1
    own = [i for i, message in enumerate(messages) if message["role"] == Role.USER.value]
    return own[-1] if own else len(messages) - 1
