"""README, DECISIONS, TRAINING and docs/ are short to read: at most 16 words a sentence on average, page by page."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PAGES = [
    _ROOT / "README.md",
    _ROOT / "DECISIONS.md",
    _ROOT / "training_pipeline" / "TRAINING.md",
    *sorted((_ROOT / "docs").glob("*.md")),
]
_MOST_WORDS = 16.0
_N_SHOWN = 5
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_NOT_PROSE = re.compile(r"^(?:\s*\||#| {4}|\t|[┌│└ ]*[│┌└►▲▼]).*$", re.MULTILINE)
_BLOCK = re.compile(r"\n\s*\n|^\s*(?:[-*]|\d+\.)\s+", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`*\[(])")


def sentences(markdown: str) -> list[str]:
    """Return the sentences of a page without tables, headings, code and pictures; a list item is one of its own."""
    prose = _NOT_PROSE.sub("", _FENCED.sub("", markdown))
    blocks = (" ".join(block.split()) for block in _BLOCK.split(prose))
    return [sentence for block in blocks if block for sentence in _SENTENCE_END.split(block)]


def test_sentences_are_told_apart() -> None:
    """A table or a listing must not count as one endless sentence, nor a dot inside a name as an end."""
    page = "# Title\n\nOne two. Three `a.b` four!\n\n- item one\n- item two\n\n| a |\n\n    make demo\n\n```\nx\n```\n"
    assert sentences(page) == ["One two.", "Three `a.b` four!", "item one", "item two"]


@pytest.mark.parametrize("page", _PAGES, ids=lambda path: str(path.relative_to(_ROOT)))
def test_a_page_has_short_sentences(page: Path) -> None:
    """The longest ones are named, so that the writer knows where to cut."""
    found = sentences(page.read_text(encoding="utf-8"))
    lengths = [len(sentence.split()) for sentence in found]
    mean = sum(lengths) / max(1, len(lengths))
    worst = sorted(found, key=lambda sentence: -len(sentence.split()))[:_N_SHOWN]
    named = "\n".join(f"{len(sentence.split())} words: {sentence}" for sentence in worst)
    assert mean <= _MOST_WORDS, f"{mean:.1f} words a sentence, expected at most {_MOST_WORDS}; shorten these:\n{named}"
