"""Own safe text to stand around a passage: paragraphs of the sample chats, code, quotes, pastes.

Invariant: the same pool, length and random state give the same text; a pool's two splits share no chat.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.bundle.files import sha256_of
from model.evidence.language import ENGLISH_WORDS
from model.windowing import Windowing
from schemas import Role, Turn
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.probes.probe import Split

_SHORTEST_PARAGRAPH: Final = 80
_LEAST_ASCII: Final = 0.98
_FEWEST_ENGLISH_WORDS: Final = 2
"""With fewer of the commonest ones, or less ASCII, a text is probably not English, and would be a probe of language."""
_WORD: Final = re.compile("[a-z]+")

_CODE: Final = (
    "```python\nprint('hello')\n```",
    "```python\ndef mean(values):\n    return sum(values) / len(values)\n\nprint(mean([3, 5, 9]))\n```",
    "```sql\nSELECT city, COUNT(*) AS n\nFROM orders\nWHERE created_at >= '2026-01-01'\nGROUP BY city;\n```",
    "```js\nconst total = items.map((item) => item.price * item.n).reduce((a, b) => a + b);\nconsole.log(total);\n```",
    '```bash\nfor file in *.csv; do\n  wc -l "$file"\ndone\n```',
    "```yaml\nservices:\n  web:\n    image: nginx:1.27\n    ports: ['8080:80']\n```",
    "```java\nvar names = people.stream().map(Person::name).sorted().toList();\nSystem.out.println(names);\n```",
)


@dataclass(frozen=True)
class Filler:
    """Safe paragraphs and safe chats of one split."""

    paragraphs: Sequence[str]
    chats: Sequence[tuple[str, list[Turn]]]
    """Ids and turns of the English ones that end with a user's message."""

    def text(self, n_characters: int, rng: random.Random) -> str:
        """Return so many characters of safe paragraphs, cut at the end of a word where it can be."""
        parts: list[str] = []
        length = 0
        while length < n_characters:
            parts.append(rng.choice(self.paragraphs))
            length += len(parts[-1]) + 2
        whole = "\n\n".join(parts)[:n_characters]
        return whole if whole.endswith((".", "!", "?")) else whole.rpartition(" ")[0] or whole

    def code(self, rng: random.Random) -> str:
        """Return a fenced block of unrelated code."""
        return rng.choice(_CODE)

    def quote(self, rng: random.Random) -> str:
        """Return a quoted paragraph, as in a mail."""
        return "\n".join(f"> {line}" for line in self.text(rng.randint(150, 500), rng).splitlines())

    def paste(self, rng: random.Random) -> str:
        """Return one pasted text."""
        return self.text(rng.randint(500, 1500), rng)

    def long_paste(self, rng: random.Random) -> str:
        """Return four pasted texts."""
        return "\n\n".join(self.text(rng.randint(1000, 2500), rng) for _ in range(4))


def filler_beside(probes: Path) -> Path:
    """Return where the sample chats lie beside a folder of probes."""
    return probes.parent / "sample" / "chats.jsonl"


def read_filler(path: Path, split: Split) -> Filler:
    """Read the safe chats of a file of labelled chats; a chat's split follows from its id.

    Args:
        path: Labelled chats, JSON lines.
        split: Which half of the chats.

    Raises:
        ValueError: a line is no labelled chat, or no safe English paragraph is left.
    """
    chats = read_labelled_chats([path], Windowing(), frozenset())
    banned = chats.banned_columns
    kept = [
        (chat_id, turns)
        for chat_id, turns, label in zip(chats.chat_ids, chats.conversations, chats.labels, strict=True)
        if not banned[label] and _split(chat_id) == split
    ]
    paragraphs = [
        paragraph.strip()
        for _, turns in kept
        for turn in turns
        for paragraph in turn.text.split("\n\n")
        if len(paragraph) >= _SHORTEST_PARAGRAPH and _is_english([paragraph])
    ]
    if not paragraphs:
        raise ValueError(f"{path}: no safe paragraph of {_SHORTEST_PARAGRAPH} characters; expected sample chats")
    english = [
        (chat_id, turns)
        for chat_id, turns in kept
        if turns[-1].role is Role.USER and _is_english([turn.text for turn in turns])
    ]
    return Filler(paragraphs, english)


def _split(chat_id: str) -> Split:
    # By digest: neighbours in the file are often variants of one another, and their ids are consecutive.
    return "train" if int(sha256_of(chat_id.encode())[-2:], 16) % 2 else "measure"


def _is_english(texts: Sequence[str]) -> bool:
    found = {word for text in texts for word in _WORD.findall(text.lower())} & ENGLISH_WORDS
    return len(found) >= _FEWEST_ENGLISH_WORDS and all(_ascii_share(text) >= _LEAST_ASCII for text in texts)


def _ascii_share(text: str) -> float:
    return sum(letter.isascii() for letter in text) / len(text) if text else 0.0
