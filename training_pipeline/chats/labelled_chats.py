"""Read labelled chats (JSON lines) through the serving codec, windowing and tokenizer.

Invariant: a training row is token for token what the worker would classify for the same event.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from model.calibration import banned_mask
from model.tokenization import ConversationTokenizer, TokenIds
from model.windowing import Windowing, render
from schemas import CHAT_13, CodecLimits, RecordRejected, Taxonomy, Turn, conversation_turns, decode_chat_event
from training_pipeline.chats import licences

OWN: Final = "own"
"""Licence class and source of chats that carry none: written for this project."""


LABEL_CASE: Final = "label_case"
"""Reason of chats whose label is a category's code in other capitals."""


@dataclass(frozen=True)
class LabelledChats:
    """Chats with labels, aligned by position."""

    chat_ids: list[str]
    texts: list[str]
    """Rendered windows."""
    labels: NDArray[np.int64]
    """[n_chats], column index of the category."""
    soft_labels: NDArray[np.float32]
    """[n_chats, n_categories], annotators' weights; each row sums to 1."""
    agreed: NDArray[np.bool_]
    """[n_chats], whether all annotators named the same category (true where there was one)."""
    rejected: dict[str, int]
    """Chats that are left out, by reason: what serving would dead-letter, and labels that are odd."""
    conversations: list[list[Turn]] = field(default_factory=list)
    """Turns with visible text, as serving reads them."""
    sources: list[str] = field(default_factory=list)
    licence_classes: list[str] = field(default_factory=list)
    folds: list[str] = field(default_factory=list)
    """Where a row says itself that it belongs, see `split`; empty strings where it does not."""
    taxonomy: Taxonomy = CHAT_13
    """Of the labels' columns."""

    def __len__(self) -> int:
        return len(self.chat_ids)

    @property
    def banned_columns(self) -> NDArray[np.bool_]:
        """Which label columns the taxonomy bans, bool [n_categories]."""
        return banned_mask(self.taxonomy.banned, self.taxonomy.codes)

    def take(self, index: NDArray[np.int64]) -> "LabelledChats":
        """Return the chats at these positions."""
        return LabelledChats(
            chat_ids=[self.chat_ids[i] for i in index],
            texts=[self.texts[i] for i in index],
            labels=self.labels[index],
            soft_labels=self.soft_labels[index],
            agreed=self.agreed[index],
            rejected=self.rejected,
            conversations=[self.conversations[i] for i in index],
            sources=[self.sources[i] for i in index],
            licence_classes=[self.licence_classes[i] for i in index],
            folds=[self.folds[i] for i in index] if self.folds else [],
            taxonomy=self.taxonomy,
        )

    def encode(self, tokenizer: ConversationTokenizer) -> list[TokenIds]:
        """Tokenise all windows."""
        return tokenizer.encode(self.texts)


@dataclass(frozen=True)
class _Chat:
    chat_id: str
    turns: list[Turn]
    category: str
    soft_label: NDArray[np.float32]
    agreed: bool
    source: str
    licence_class: str
    fold: str


def read_labelled_chats(
    paths: Sequence[Path], windowing: Windowing, licence_classes: frozenset[str], taxonomy: Taxonomy = CHAT_13
) -> LabelledChats:
    """Read chats with a `category` and, where present, a `soft_label` and `agreed`.

    Args:
        paths: JSON-lines files: ChatEvent fields plus `category`, optional `soft_label`, `agreed`,
            `source`, `license_class`, `fold`.
        windowing: The bundle's windowing rules.
        licence_classes: Keep only chats of these `license_class` values; empty keeps all. Without the field the class
            follows from `license`; chats with neither are the project's own and always kept.
        taxonomy: Of the categories.

    Raises:
        ValueError: a line is not a labelled chat, or no chat is left; names file and line.
    """
    rejected: Counter[str] = Counter()
    chats = [chat for path in paths for chat in _read_file(path, licence_classes, rejected, taxonomy)]
    if not chats:
        raise ValueError(
            f"{', '.join(map(str, paths))}: no labelled chat is left (licence classes: "
            f"{sorted(licence_classes) or 'all'}, rejected: {dict(rejected)}); expected some"
        )
    return LabelledChats(
        chat_ids=[chat.chat_id for chat in chats],
        texts=[render(chat.turns, windowing) for chat in chats],
        labels=np.array([taxonomy.columns[chat.category] for chat in chats], dtype=np.int64),
        soft_labels=np.stack([chat.soft_label for chat in chats]),
        agreed=np.array([chat.agreed for chat in chats]),
        rejected=dict(rejected),
        conversations=[chat.turns for chat in chats],
        sources=[chat.source for chat in chats],
        licence_classes=[chat.licence_class for chat in chats],
        folds=[chat.fold for chat in chats],
        taxonomy=taxonomy,
    )


def _read_file(
    path: Path, licence_classes: frozenset[str], rejected: Counter[str], taxonomy: Taxonomy
) -> Iterator[_Chat]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}:{number}"
            row = _parse(line, where)
            licence_class = _licence_class(row)
            if licence_classes and licence_class not in licence_classes | {OWN}:
                continue
            if _differs_in_case(row.get("category"), taxonomy):
                rejected[LABEL_CASE] += 1
                continue
            category, soft_label = _labels(row, where, taxonomy)
            try:
                event = decode_chat_event(line, CodecLimits())
            except RecordRejected as rejection:
                rejected[rejection.reason.value] += 1
                continue
            yield _Chat(
                chat_id=event.chat_id,
                turns=conversation_turns(event),
                category=category,
                soft_label=soft_label,
                agreed=bool(row.get("agreed", True)),
                source=str(row.get("source", OWN)),
                licence_class=licence_class,
                fold=str(row.get("fold") or ""),
            )


def _licence_class(row: dict[str, Any]) -> str:
    """Return the row's class; a chat from elsewhere must not pass as the project's own for want of the field."""
    if "license_class" in row:
        return str(row["license_class"])
    return licences.licence_class(str(row["license"])) if "license" in row else OWN


def _parse(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{where}: not JSON ({error}); expected one chat per line") from None
    if not isinstance(row, dict):
        # A ValueError like every other fault of a line: the caller names them all the same way.
        raise ValueError(f"{where}: a {type(row).__name__}; expected an object with a category")  # noqa: TRY004
    return row


def _differs_in_case(category: object, taxonomy: Taxonomy) -> bool:
    """Say whether a label is a category's code in other capitals: left out and counted, so that it is seen."""
    if not isinstance(category, str) or category in taxonomy.columns:
        return False
    return category.casefold() in {code.casefold() for code in taxonomy.codes}


def _labels(row: dict[str, Any], where: str, taxonomy: Taxonomy) -> tuple[str, NDArray[np.float32]]:
    """Return the category and the annotators' weights, float32 [n_categories], summing to 1."""
    columns, codes = taxonomy.columns, ", ".join(taxonomy.codes)
    category = row.get("category")
    if not isinstance(category, str) or category not in columns:
        raise ValueError(
            f"{where}: category is {category!r}; expected one of {codes} (taxonomy {taxonomy.ref}); correct the label, "
            "or name the taxonomy of these chats"
        )
    weights = row.get("soft_label") or {category: 1.0}
    soft_label = np.zeros(len(columns), dtype=np.float32)
    for code, weight in weights.items():
        if code not in columns or not isinstance(weight, int | float) or not weight >= 0:
            raise ValueError(
                f"{where}: soft_label holds {code!r}: {weight!r}; expected weights of at least 0 "
                f"for {codes}; correct the label"
            )
        soft_label[columns[code]] = weight
    if not soft_label.sum() > 0:
        raise ValueError(f"{where}: soft_label sums to 0; expected some weight; correct the label")
    return category, soft_label / soft_label.sum()
