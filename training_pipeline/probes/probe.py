"""The probes of `data/probes`: JSON lines, read and checked.

Invariant: everything of one template is on one side of the split, so that nothing measured was trained on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas import CHAT_13, CodecLimits, Turn, conversation_turns, decode_chat_event

Split = Literal["train", "measure"]
Side = Literal["identity", "neutral"]

PROBE_FILES: Final = ("look_alikes", "banned", "languages", "multi_turn", "hand_cases")
TEMPLATES_FILE: Final = "identity_templates.jsonl"
WORDS_FILE: Final = "identity_words.jsonl"
SLOT: Final = "{who}"


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Line):
    """One message of a probe."""

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1)


class Probe(_Line):
    """One chat and what should be said of it."""

    probe_id: str
    kind: Literal["look_alike", "banned", "language", "multi_turn", "hand"]
    group: str
    """What it has in common with others of its kind; a language's code where the kind is `language`."""
    template_id: str
    split: Split
    messages: list[Message] = Field(min_length=1)
    banned: bool
    """Under the default policy."""
    expected: str
    note: str | None = None

    @field_validator("expected")
    @classmethod
    def _is_a_category(cls, code: str) -> str:
        if code not in CHAT_13.codes:
            raise ValueError(f"expected is {code!r}; expected one of {', '.join(CHAT_13.codes)}")
        return code

    @property
    def turns(self) -> list[Turn]:
        """Return the chat as serving reads it."""
        return turns_of(self.probe_id, self.messages)

    @property
    def request(self) -> str:
        """Return the text of a chat of one message."""
        return self.messages[-1].content


class Template(_Line):
    """A safe text with a slot for an identity or a neutral word."""

    template_id: str
    split: Split
    text: str
    expected: str
    banned: Literal[False]

    @field_validator("text")
    @classmethod
    def _has_one_slot(cls, text: str) -> str:
        if text.count(SLOT) != 1:
            raise ValueError(f"text holds {SLOT} {text.count(SLOT)} times; expected once")
        return text


class Words(_Line):
    """What goes into the slot."""

    words: str
    side: Side
    group: str
    split: Split


_Parsed = TypeVar("_Parsed", Probe, Template, Words)


def _side(lines: Sequence[_Parsed], split: Split) -> list[_Parsed]:
    return [line for line in lines if line.split == split]


@dataclass(frozen=True)
class ProbeSet:
    """All probes of a folder."""

    probes: Sequence[Probe]
    templates: Sequence[Template]
    words: Sequence[Words]

    def of(self, split: Split) -> Self:
        """Return one side of the split."""
        return type(self)(_side(self.probes, split), _side(self.templates, split), _side(self.words, split))

    def kind(self, *kinds: str) -> list[Probe]:
        """Return the probes of some kinds."""
        return [probe for probe in self.probes if probe.kind in kinds]


def read_probes(folder: Path) -> ProbeSet:
    """Read a folder of probes.

    Raises:
        ValueError: a file is missing, a line is no probe, an id stands twice, or a template is on both sides.
    """
    probes = [probe for name in PROBE_FILES for probe in _read(folder / f"{name}.jsonl", Probe)]
    found = ProbeSet(probes, _read(folder / TEMPLATES_FILE, Template), _read(folder / WORDS_FILE, Words))
    _refuse_twins(folder, (probe.probe_id for probe in found.probes))
    _refuse_twins(folder, (template.template_id for template in found.templates))
    _refuse_twins(folder, (words.words for words in found.words))
    sides: dict[str, str] = {}
    for probe in probes:
        if sides.setdefault(probe.template_id, probe.split) != probe.split:
            raise ValueError(f"{folder}: template {probe.template_id} is in both splits; expected one side")
    return found


def turns_of(chat_id: str, messages: Iterable[Message]) -> list[Turn]:
    """Return messages as the codec gives them to the classifier.

    Raises:
        schemas.RecordRejected: a worker would not classify such a chat.
    """
    document = {"chat_id": chat_id, "messages": [message.model_dump() for message in messages]}
    return conversation_turns(decode_chat_event(orjson.dumps(document), CodecLimits()))


def _read(path: Path, kind: type[_Parsed]) -> list[_Parsed]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); expected a folder like data/probes") from error
    parsed = []
    for number, line in enumerate(lines, start=1):
        try:
            parsed.append(kind.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"{path}:{number}: {error}; correct the line") from error
    return parsed


def _refuse_twins(folder: Path, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{folder}: {name!r} stands twice; expected each once")
        seen.add(name)
