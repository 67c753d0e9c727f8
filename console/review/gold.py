"""Gold chats: the text and the right answer of each, from a file of JSON lines. The database holds their keys alone.

Those that ship are the first five short chats of each category of data/sample, whose labels the project owns; a test
compares both. `review.gold_file` names others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from console.errors import SettingsError
from console.review.item import Outcome
from schemas import ChatEvent, CodecLimits, RecordRejected, Role, Turn, conversation_turns, event_of
from schemas.taxonomy import CategoryCode, shipped_names, shipped_taxonomy

SHIPPED: Final = Path(__file__).parent / "gold_chats"
"""A file for each taxonomy that has some, by its name."""
_EXPECTED: Final = 'expected JSON lines of {"chat_id", "category", "messages"} with "decision": "allow" or "block"'


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    chat_id: Annotated[str, Field(min_length=1, max_length=64)]
    category: CategoryCode
    decision: Literal["allow", "block"] | None = None
    messages: list[object] = Field(min_length=1)


@dataclass(frozen=True)
class GoldChat:
    """One chat whose answer is known."""

    key: str
    category: str
    decision: str
    turns: list[Turn]

    @property
    def deciding(self) -> int | None:
        """Which turn the answer is about: the user's newest."""
        return next((i for i in reversed(range(len(self.turns))) if self.turns[i].role is Role.USER), None)


class GoldChats:
    """The gold chats of every taxonomy that has some.

    Args:
        own: Chats of `review.gold_file`, for whatever taxonomy has their categories; None: those that ship.
    """

    def __init__(self, own: Sequence[GoldChat] | None = None) -> None:
        self._own = None if own is None else {chat.key: chat for chat in own}
        self._shipped: dict[str, Mapping[str, GoldChat]] = {}

    @classmethod
    def of(cls, path: Path | None) -> "GoldChats":
        """Read `review.gold_file`.

        Raises:
            SettingsError: it cannot be read, or a line is none. The text quotes nothing of it.
        """
        return cls() if path is None else cls(read_gold(path, None))

    def for_taxonomy(self, name: str, codes: Sequence[str]) -> list[GoldChat]:
        """Return the chats whose category a taxonomy has, in the order of their file.

        Args:
            name: Of the taxonomy.
            codes: Of its categories.
        """
        known = self._of(name)
        return [chat for chat in known.values() if chat.category in codes]

    def chat(self, taxonomy: str, key: str) -> GoldChat | None:
        """Return a chat by its key; None where the file has it no longer."""
        return self._of(taxonomy).get(key)

    def _of(self, taxonomy: str) -> Mapping[str, GoldChat]:
        if self._own is not None:
            return self._own
        if taxonomy not in self._shipped:
            path = SHIPPED / f"{taxonomy}.jsonl"
            # A taxonomy's name is letters, digits, _, . and -.
            found = read_gold(path, taxonomy) if taxonomy in shipped_names() and path.is_file() else []
            self._shipped[taxonomy] = {chat.key: chat for chat in found}
        return self._shipped[taxonomy]


def read_gold(path: Path, taxonomy: str | None) -> list[GoldChat]:
    """Read a file of gold chats.

    Args:
        path: The file.
        taxonomy: A shipped taxonomy, whose banned categories say what a line without a decision means; None: each line
            says it itself.

    Raises:
        SettingsError: it cannot be read, or a line is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"review.gold_file {path}: cannot be read ({type(error).__name__}); {_EXPECTED}") from None
    banned = None if taxonomy is None else shipped_taxonomy(taxonomy).banned
    chats = [_chat(line, f"{path}, line {n}", banned) for n, line in enumerate(lines, 1) if line.strip()]
    if len({chat.key for chat in chats}) < len(chats):
        raise SettingsError(f"{path}: a chat_id comes twice; expected each once")
    return chats


def _chat(text: str, where: str, banned: frozenset[str] | None) -> GoldChat:
    try:
        line = _Line.model_validate_json(text)
        event: ChatEvent = event_of({"chat_id": line.chat_id, "messages": line.messages}, CodecLimits())
    except (ValidationError, RecordRejected):
        raise SettingsError(f"{where}: no labelled chat; {_EXPECTED}") from None
    decision = line.decision
    if decision is None:
        if banned is None:
            raise SettingsError(f"{where}: found no decision; {_EXPECTED}")
        decision = Outcome.BLOCK.value if line.category in banned else Outcome.ALLOW.value
    return GoldChat(line.chat_id, line.category, decision, conversation_turns(event))
