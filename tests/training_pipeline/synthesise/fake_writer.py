"""Scripts for the loopback endpoint: a writer that does as it is told, and a judge that reads what it was given."""

import random
import re
from typing import NamedTuple

import orjson

from tests.training_pipeline.data.completion_server import Answer, Prompt, Script, completion, label

_ASKED = re.compile(r"Write conversation (\d+) of category (\S+) ")


class Asked(NamedTuple):
    """What a prompt of the writer asks for."""

    number: int
    category: str
    first: str
    n_messages: int
    is_retry: bool


def asked_of(prompt: Prompt) -> Asked | None:
    """Return what the writer is asked for; None where the judge is asked."""
    found = _ASKED.match(prompt)
    if found is None:
        return None
    first = re.search(r"^(\S+) is: ", prompt, re.MULTILINE)
    fewest = re.search(r"^Messages: (\d+)", prompt, re.MULTILINE)
    assert first is not None
    assert fewest is not None
    return Asked(int(found[1]) - 1, found[2], first[1], int(fewest[1]), "was of no use" in prompt)


def text_of(asked: Asked, *, marker: str | None = None, salt: str = "") -> str:
    """Return a message that no other resembles, with a word that tells the judge its category."""
    rng = random.Random(f"{asked.category}{asked.number}{salt}")  # noqa: S311  made-up words
    words = [f"w{rng.randrange(10**6)}" for _ in range(8)]
    return " ".join([f"mark_{marker or asked.category}", *words])


def chat_text(asked: Asked, *contents: str) -> str:
    """Return a conversation by the first speaker as the writer answers it."""
    listed = list(contents) or [f"{text_of(asked)} {i}" for i in range(asked.n_messages)]
    return orjson.dumps(
        {"messages": [{"id": i, "speaker": asked.first, "content": text} for i, text in enumerate(listed, 1)]}
    ).decode()


def written(asked: Asked, *contents: str) -> Answer:
    """Answer with a conversation."""
    return completion(chat_text(asked, *contents))


def judged(prompt: Prompt) -> Answer:
    """Answer with the category that the marker names."""
    found = re.findall(r"mark_(\w+)", prompt)
    return label(found[-1])


def obedient(prompt: Prompt, _n_before: int) -> Answer:
    """Write what is asked for, and judge by the marker."""
    asked = asked_of(prompt)
    return judged(prompt) if asked is None else written(asked)


def but(**misbehaviour: Answer) -> Script:
    """Be obedient but for the cells named, such as question_0, whose first answer is another."""

    def script(prompt: Prompt, n_before: int) -> Answer:
        asked = asked_of(prompt)
        if asked is not None and not asked.is_retry and n_before == 0:
            return misbehaviour.get(f"{asked.category}_{asked.number}") or obedient(prompt, n_before)
        return obedient(prompt, n_before)

    return script
