"""Clean extracted chats: newest state per chat, masking, duplicates, language tag, and the window that serving reads.

Each chat ends as one row or one reject. The first of several duplicates stays; of several states of one chat the last.

Invariant: `window` is what `model.windowing.render` gives for the row's messages, and no two rows have the same window.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from model.windowing import Windowing, render
from schemas import ChatEvent, Turn, content_text, conversation_turns
from training_pipeline.data.chat_rows import ChatRow, DropReason, Reject, read_chat_rows
from training_pipeline.data.language import LanguageTagger
from training_pipeline.data.near_duplicates import DEFAULT_THRESHOLD, NearDuplicateIndex, shingles
from training_pipeline.data.pii import PiiMasker
from training_pipeline.data.stage_files import (
    StageFiles,
    StageReport,
    digests,
    finished_report,
)

STAGE: Final = "preprocess"


class PreprocessOptions(BaseModel):
    """What the stage does besides exact duplicates, which always go."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windowing: Windowing = Windowing()
    near_duplicate_threshold: float | None = Field(default=DEFAULT_THRESHOLD, gt=0, le=1)
    min_characters: int = Field(default=1, ge=1, description="Of the window, role markers not counted.")
    mask_pii: bool = False
    phone_region: str | None = Field(default=None, pattern="^[A-Z]{2}$")
    accurate_language: bool = False
    languages: tuple[str, ...] = ()
    """Keep only these; empty keeps all."""


def preprocess(
    paths: Sequence[Path],
    out: Path,
    options: PreprocessOptions,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> StageReport:
    """Run the stage; returns at once where its report says that nothing has changed.

    Raises:
        DataError: an input cannot be read.
    """
    inputs, wanted = digests(paths), options.model_dump(mode="json")
    if finished := finished_report(out, STAGE, inputs, wanted):
        return finished
    with StageFiles(out) as files:
        rows = list(read_chat_rows(paths, files.reject))
        newest = {row.chat_id: i for i, row in enumerate(rows)}
        cleaner = _Cleaner(options)
        for i, row in enumerate(rows):
            newer = rows[newest[row.chat_id]]
            answer = cleaner.clean(i, row) if newer is row else _older(row, newer)
            files.reject(answer) if isinstance(answer, Reject) else files.write(answer)
            if on_progress is not None:
                on_progress(i + 1, len(rows))
    details = {
        "n_chats_by_language": dict(cleaner.n_by_language.most_common()),
        "n_masked_by_kind": dict(sorted(cleaner.n_masked.items())),
    }
    return files.report(STAGE, inputs, wanted, details)


class _Cleaner:
    """Decides for one chat after the other; remembers what was kept, to know duplicates."""

    def __init__(self, options: PreprocessOptions) -> None:
        self._options = options
        self._masker = PiiMasker(options.phone_region)
        self._tagger = LanguageTagger(accurate=options.accurate_language)
        self._windows: dict[str, str] = {}
        threshold = options.near_duplicate_threshold
        self._index = None if threshold is None else NearDuplicateIndex(threshold)
        self._kept: dict[int, str] = {}
        self.n_masked: Counter[str] = Counter()
        self.n_by_language: Counter[str] = Counter()

    def clean(self, number: int, row: ChatRow) -> dict[str, Any] | Reject:
        fields, turns = self._masked(row)
        window = render(turns, self._options.windowing)
        if first := self._windows.get(window):
            return _reject(row, DropReason.EXACT_DUPLICATE, f"same window as chat {first}")
        n_characters = sum(len(turn.text.strip()) for turn in turns)
        if n_characters < self._options.min_characters:
            error = f"{n_characters} characters; expected at least {self._options.min_characters}"
            return _reject(row, DropReason.TOO_SHORT, error)
        language = self._tagger.tag(turns)
        if self._options.languages and language.code not in self._options.languages:
            error = f"language is {language.code}; expected {', '.join(self._options.languages)}"
            return _reject(row, DropReason.OTHER_LANGUAGE, error)
        if self._index is not None:
            similar = self._index.similar_then_add(number, shingles(_texts(window)), only_if_new=True)
            if similar:
                error = f"Jaccard similarity {similar[0][1]:.3f} with chat {self._kept[similar[0][0]]}"
                return _reject(row, DropReason.NEAR_DUPLICATE, error)
        self._windows[window] = self._kept[number] = row.chat_id
        self.n_by_language[language.code] += 1
        return fields | {"language": language.code, "language_confidence": language.confidence, "window": window}

    def _masked(self, row: ChatRow) -> tuple[dict[str, Any], list[Turn]]:
        if not self._options.mask_pii:
            return row.fields, row.turns
        masked = dict(row.fields)
        masked["messages"] = [
            # What a tool is called with is unread, as `context` is.
            {name: value for name, value in message.items() if name != "tool_calls"}
            | {"content": self._masker.mask(content_text(message.get("content")), self.n_masked)}
            for message in row.fields.get("messages") or []
        ]
        for name in ("formatted_chat", "query"):
            if isinstance(text := row.fields.get(name), str):
                masked[name] = self._masker.mask(text, self.n_masked)
        # `context` is upstream's own and unread; what may hide in it is not worth the risk of keeping it.
        masked.pop("context", None)
        event = ChatEvent.model_validate(masked)
        return masked, conversation_turns(event)


def _older(row: ChatRow, newer: ChatRow) -> Reject:
    return _reject(row, DropReason.OLDER_STATE, f"{newer.position} holds a newer state of this chat")


def _texts(window: str) -> str:
    """Return a window without its role markers, which every window shares."""
    return "\n".join(line.partition(": ")[2] for line in window.split("\n"))


def _reject(row: ChatRow, reason: DropReason, error: str) -> Reject:
    return Reject(position=row.position, reason=reason.value, error=error, chat_id=row.chat_id)
