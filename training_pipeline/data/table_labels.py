"""What stands in a table's label column, as categories; and the chats whose label cannot teach.

Labels are trimmed, lowered and filtered; a taxonomy's names and codes become its codes. A text that has two labels says
nothing, whichever is right; one that stands twice could stand on both sides of a split; a class of a single chat can be
learnt or checked, not both.

Invariant: a chat that is left out is counted under one reason, and no message repeats a label that may be chat text.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from schemas.taxonomy import Taxonomy
from training_pipeline.data.chat_rows import DropReason, Reject
from training_pipeline.data.errors import DataError

MIN_CHATS_OF_LABEL: Final = 2
_SHOWN_CHARACTERS: Final = 40
"""A longer label is not repeated in messages: it may be chat text, where the wrong column was named."""
_MOST_LABELS: Final = 20


class RowReason(StrEnum):
    """Why a row of a table is no chat; the codec's own reasons come on top."""

    MALFORMED_ROW = "malformed_row"
    EMPTY_TEXT = "empty_text"
    EMPTY_ID = "empty_id"
    EMPTY_LABEL = "empty_label"
    LABEL_NOT_ALLOWED = "label_not_allowed"
    BAD_TIME = "bad_time"
    CONFLICTING_LABELS = "conflicting_labels"
    """The same text with another label."""
    SINGLE_ROW_OF_LABEL = "single_row_of_label"


class Labels:
    """Turns what stands in the label column into categories, and counts."""

    def __init__(self, *, allowed: Sequence[str], taxonomy: Taxonomy | None) -> None:
        self._codes = None if taxonomy is None else _codes_by_spelling(taxonomy)
        asked = tuple(_folded(label) for label in allowed)
        if self._codes is not None and (unknown := [label for label in asked if label not in self._codes]):
            raise DataError(
                f"--allowed {', '.join(unknown)}: not in the taxonomy; expected some of {', '.join(self._known())}"
            )
        self._allowed = frozenset(self._code(label) for label in asked)
        self._spellings: dict[str, Counter[str]] = defaultdict(Counter)
        self._refused: Counter[str] = Counter()
        self.n_written: Counter[str] = Counter()

    def _known(self) -> list[str]:
        return sorted(set((self._codes or {}).values()))

    def _code(self, folded: str) -> str:
        return folded if self._codes is None else self._codes[folded]

    def of(self, raw: str | None) -> str | tuple[RowReason, str]:
        """Return the category of a label, or why it has none."""
        if raw is None or not (folded := _folded(raw)):
            return RowReason.EMPTY_LABEL, "no label; expected one"
        known = self._codes is None or folded in self._codes
        code = self._code(folded) if known else folded
        if not known or (self._allowed and code not in self._allowed):
            shown = folded if len(folded) <= _SHOWN_CHARACTERS else f"a text of {len(folded)} characters"
            self._refused[shown] += 1
            return RowReason.LABEL_NOT_ALLOWED, f"label is {shown}; expected {self._expected()}"
        self._spellings[code][raw] += 1
        return code

    def _expected(self) -> str:
        return ", ".join(sorted(self._allowed) or self._known())

    def remedy(self) -> str:
        """Return what to do where nothing is left."""
        if self._refused:
            return f"labels are {counted(self._refused)}, expected {self._expected()}: name these, or another column"
        return "name other columns, or give a table with more rows"

    def details(self) -> dict[str, Any]:
        """Return counts for the report."""
        if not self._spellings and not self._refused:
            return {}
        several = {code: dict(found.most_common()) for code, found in self._spellings.items() if len(found) > 1}
        return {
            "n_chats_by_category": dict(sorted(self.n_written.items())),
            "n_rows_by_spelling": dict(sorted(several.items())),
            "n_rows_by_refused_label": dict(self._refused.most_common(_MOST_LABELS)),
        }


def _codes_by_spelling(taxonomy: Taxonomy) -> dict[str, str]:
    """Return codes by folded name and folded code; a code wins over another category's name."""
    names = {_folded(category.name): category.code for category in taxonomy.categories}
    return names | {_folded(code): code for code in taxonomy.codes}


def _folded(label: str) -> str:
    return " ".join(label.split()).lower()


def counted(counts: Mapping[str, int]) -> str:
    """Return names with their counts, the most frequent first."""
    most = sorted(counts.items(), key=lambda item: -item[1])[:_MOST_LABELS]
    return ", ".join(f"{name} {n}" for name, n in most)


def without_repeats(chats: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any] | Reject]:
    """Yield chats; where a text (with its context) has two labels all of its rows go, else all but the first."""
    labels: dict[str, set[str | None]] = defaultdict(set)
    for chat in chats:
        labels[_content(chat)].add(chat.get("category"))
    first: dict[str, str] = {}
    for chat in chats:
        content, place = _content(chat), chat["extracted_from"]
        if len(labels[content]) > 1:
            error = f"the same text has the labels {', '.join(sorted(map(str, labels[content])))}; expected one"
            yield reject(place, RowReason.CONFLICTING_LABELS, error, chat["chat_id"])
        elif content in first:
            yield reject(place, DropReason.EXACT_DUPLICATE, f"same text as {first[content]}", chat["chat_id"])
        else:
            first[content] = place
            yield chat


def _content(chat: Mapping[str, Any]) -> str:
    """Return what makes two chats the same: all texts, case and white space aside."""
    return "\n".join(" ".join(turn["content"].split()).casefold() for turn in chat["messages"])


def without_single_rows(chats: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any] | Reject]:
    """Yield chats but for those whose label no other has; chats without labels stay."""
    n_chats = Counter(chat.get("category") for chat in chats)
    for chat in chats:
        category = chat.get("category")
        if category is not None and n_chats[category] < MIN_CHATS_OF_LABEL:
            error = f"{category} has a single row; expected at least {MIN_CHATS_OF_LABEL} of each label"
            yield reject(chat["extracted_from"], RowReason.SINGLE_ROW_OF_LABEL, error, chat["chat_id"])
        else:
            yield chat


def reject(position: str, reason: StrEnum, error: str, chat_id: str) -> Reject:
    """Return the reject of a row that has become a chat."""
    return Reject(position=position, reason=reason.value, error=error, chat_id=chat_id)
