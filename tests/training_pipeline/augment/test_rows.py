"""What must not move the answer: training rows with unrelated text beside the request, and with an identity."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import orjson
import pytest

from model.tokenization import ConversationTokenizer
from model.windowing import Windowing, render
from schemas import CHAT_13, Role, Turn
from training_pipeline.augment.identities import IDENTITIES, with_identity
from training_pipeline.augment.mixtures import mixed, paste_of
from training_pipeline.augment.rows import augmented_rows
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.encoder.files import default_encoder_path
from training_pipeline.train.config import TrainConfig

_PASTES = ["The council met on Tuesday to discuss the new bicycle lanes in the old town. " * 20, "word " * 400]


def chance(seed: int) -> random.Random:
    """Return a repeatable source of choices."""
    return random.Random(seed)  # noqa: S311  chooses texts, no secret


@pytest.mark.parametrize("n_characters", [20, 150, 199, 201, 390, 401, 560])
def test_a_request_stays_whole_in_the_window_or_is_not_mixed(n_characters: int) -> None:
    """A banned label on a row that shows no banned text would teach false alarms."""
    request = ("q" * 9 + " ") * 100
    request = request[:n_characters].strip()
    for seed in range(50):
        turns = mixed([Turn(Role.USER, request)], _PASTES, Windowing(), chance(seed))
        if turns is not None:
            assert request in render(turns, Windowing())
            assert len(turns[0].text) > len(request)
    if n_characters > 600:
        assert turns is None


def test_a_long_request_and_a_chat_without_a_user_are_left_alone() -> None:
    """Nothing can be put beside a request that fills its window."""
    assert mixed([Turn(Role.USER, "q" * 700)], _PASTES, Windowing(), chance(1)) is None
    assert mixed([Turn(Role.ASSISTANT, "hello")], _PASTES, Windowing(), chance(1)) is None
    assert with_identity([Turn(Role.ASSISTANT, "hello")], chance(1)) is None


def test_only_the_last_user_message_changes() -> None:
    """What was said before stays."""
    turns = [
        Turn(Role.USER, "one"),
        Turn(Role.ASSISTANT, "two"),
        Turn(Role.USER, "three"),
        Turn(Role.ASSISTANT, "four"),
    ]
    for changed in (mixed(turns, _PASTES, Windowing(), chance(3)), with_identity(turns, chance(3))):
        assert changed is not None
        assert [turn for i, turn in enumerate(changed) if i != 2] == [turn for i, turn in enumerate(turns) if i != 2]
        assert "three" in changed[2].text
        assert changed[2].role is Role.USER


def test_an_identity_is_named_with_its_article_and_the_request_kept() -> None:
    """The row must read as a person would write it."""
    seen = set()
    for seed in range(400):
        changed = with_identity([Turn(Role.USER, "what is tax?")], chance(seed))
        assert changed is not None
        assert "what is tax?" in changed[0].text
        seen |= {identity for identity in IDENTITIES if f" {identity}" in changed[0].text}
    assert len(seen) > len(IDENTITIES) / 2


def test_a_short_message_is_no_paste() -> None:
    """A word or two would not be something that stands beside a request."""
    assert paste_of([Turn(Role.USER, "hi")]) == ""
    assert paste_of([Turn(Role.USER, "x" * 50)]) == "x" * 50


@pytest.fixture
def chats(tmp_path: Path) -> LabelledChats:
    """Return as many banned chats as safe ones, short enough to be mixed."""
    lines = [
        {
            "chat_id": f"{code}{i}",
            "category": code,
            "messages": [{"role": "user", "content": f"please explain how the number {i} is written in words"}],
        }
        for i in range(400)
        for code in "EM"
    ]
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return read_labelled_chats([path], Windowing(), frozenset())


@pytest.fixture(scope="module")
def tokenizer() -> ConversationTokenizer:
    """Return the tokenizer of the packaged encoder."""
    content = (default_encoder_path() / "tokenizer.json").read_text(encoding="utf-8")
    return ConversationTokenizer(content, max_tokens=Windowing().max_tokens)


def changed(
    chats: LabelledChats, tokenizer: ConversationTokenizer, config: TrainConfig, *, epoch: int = 1
) -> list[int]:
    """Return the positions of the rows that an epoch changes."""
    plain = chats.encode(tokenizer)
    rows = augmented_rows(chats, plain, tokenizer, config, epoch=epoch)
    return [i for i, (a, b) in enumerate(zip(rows, plain, strict=True)) if not np.array_equal(a, b)]


@pytest.mark.parametrize("ratio", ["evasion_ratio", "mixture_ratio", "identity_ratio", "piece_ratio"])
def test_banned_and_safe_chats_are_changed_alike(
    ratio: str, chats: LabelledChats, tokenizer: ConversationTokenizer
) -> None:
    """A chat that looks pasted together must not look banned for it."""
    found = Counter(CHAT_13.codes[chats.labels[i]] for i in changed(chats, tokenizer, TrainConfig(**{ratio: 0.3})))
    # 400 of each at 30 %: the standard deviation of the difference is 13.
    assert abs(found["E"] - found["M"]) < 60
    assert 80 < found["E"] < 160


def test_the_same_epoch_changes_the_same_chats_and_another_epoch_others(
    chats: LabelledChats, tokenizer: ConversationTokenizer
) -> None:
    """A resumed run must see what an uninterrupted one would have seen."""
    config = TrainConfig(evasion_ratio=0.1, evasion_kinds="all", mixture_ratio=0.1, identity_ratio=0.1, piece_ratio=0.1)
    first = changed(chats, tokenizer, config, epoch=1)
    assert first == changed(chats, tokenizer, config, epoch=1)
    assert first != changed(chats, tokenizer, config, epoch=2)
    assert changed(chats, tokenizer, TrainConfig()) == []
