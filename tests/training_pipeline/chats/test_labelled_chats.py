from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.tokenization import ConversationTokenizer
from model.windowing import Windowing, render
from schemas import CHAT_13, ChatEvent, CodecLimits, RecordRejected, conversation_turns, decode_chat_event
from training_pipeline.chats.data_record import read_recorded_chats, record_data
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import calibration_split
from training_pipeline.encoder.files import default_encoder_path
from training_pipeline.train.config import TrainConfig

WriteChats = Callable[[list[dict[str, Any]]], Path]


def _chat(chat_id: str = "c", **fields: Any) -> dict[str, Any]:
    return {"chat_id": chat_id, "category": "A", "messages": [{"role": "user", "content": "hello there"}], **fields}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (_chat(category="N"), "category is 'N'"),
        (_chat(category=None), "category is None"),
        (_chat(soft_label={"Z": 1.0}), "soft_label holds 'Z'"),
        (_chat(soft_label={"A": -1.0}), "soft_label holds 'A'"),
        (_chat(soft_label={"A": 0.0}), "soft_label sums to 0"),
    ],
)
def test_a_wrong_label_is_named_with_file_and_line(
    row: dict[str, Any], complaint: str, write_chats: WriteChats
) -> None:
    """Someone must find the line among twelve thousand."""
    path = write_chats([_chat("good"), row])
    with pytest.raises(ValueError, match=f"chats.jsonl:2: {complaint}"):
        read_labelled_chats([path], Windowing(), frozenset())


def test_a_line_that_is_not_json_is_named_with_file_and_line(tmp_path: Path) -> None:
    """A truncated download must not end in a bare decode error."""
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b'{"chat_id": "a", "categ')
    with pytest.raises(ValueError, match=r"cut.jsonl:1: not JSON"):
        read_labelled_chats([path], Windowing(), frozenset())


def test_the_licence_filter_keeps_the_named_classes_and_our_own(write_chats: WriteChats) -> None:
    """The recipe promises a permissive-only model; one stray chat would break it."""
    path = write_chats(
        [
            _chat("permissive", license_class="permissive"),
            _chat("unknown", license_class="unknown"),
            _chat("own"),
        ]
    )
    kept = read_labelled_chats([path], Windowing(), frozenset({"permissive"}))
    assert kept.chat_ids == ["permissive", "own"]
    assert kept.licence_classes == ["permissive", "own"]
    assert len(read_labelled_chats([path], Windowing(), frozenset())) == 3


def test_a_filter_that_keeps_nothing_is_an_error(write_chats: WriteChats) -> None:
    """A typo in a licence class must not train on nothing."""
    path = write_chats([_chat(license_class="unknown")])
    with pytest.raises(ValueError, match="no labelled chat is left"):
        read_labelled_chats([path], Windowing(), frozenset({"permisive"}))


def test_chats_that_serving_would_reject_are_counted_and_left_out(write_chats: WriteChats) -> None:
    """The model never sees them in service."""
    chats = read_labelled_chats([write_chats([_chat(), _chat("e", messages=[])])], Windowing(), frozenset())
    assert len(chats) == 1
    assert chats.rejected == {"empty_conversation": 1}


def test_soft_labels_sum_to_one(write_chats: WriteChats) -> None:
    """Annotators' weights come in any scale; the loss expects a distribution."""
    chats = read_labelled_chats([write_chats([_chat(soft_label={"A": 3, "E": 1})])], Windowing(), frozenset())
    assert chats.soft_labels[0, [CHAT_13.codes.index("A"), CHAT_13.codes.index("E")]].tolist() == [0.75, 0.25]


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=900)
_MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": _TEXTS}), max_size=9
)


@pytest.fixture(scope="module")
def tokenizer() -> ConversationTokenizer:
    """Return the encoder's tokenizer under the default rules."""
    tokenizer_json = (default_encoder_path() / "tokenizer.json").read_text(encoding="utf-8")
    return ConversationTokenizer(tokenizer_json, max_tokens=Windowing().max_tokens)


def _served(row: dict[str, Any]) -> ChatEvent | None:
    try:
        return decode_chat_event(orjson.dumps(row), CodecLimits())
    except RecordRejected:
        return None


@given(messages=_MESSAGES)
def test_a_training_row_is_the_row_that_serving_tokenises(
    messages: list[dict[str, str]], tokenizer: ConversationTokenizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Law 6: a model trained on other tokens than it is served is silently worse."""
    path = tmp_path_factory.getbasetemp() / "one-chat.jsonl"
    rows = [_chat("own", messages=messages), _chat("other")]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    chats = read_labelled_chats([path], Windowing(), frozenset())
    event = _served(rows[0])
    if event is None:
        assert chats.chat_ids == ["other"]
        return
    (served,) = tokenizer.encode([render(conversation_turns(event), Windowing())])
    np.testing.assert_array_equal(chats.encode(tokenizer)[0], served)


def test_the_split_is_disjoint_complete_stratified_and_reproducible() -> None:
    """A chat on both sides would make the guarantee a lie."""
    labels = np.repeat(np.arange(13), np.arange(20, 150, 10))
    training, held_out = calibration_split(labels, calibration_ratio=0.2, seed=7)
    assert sorted([*training, *held_out]) == list(range(len(labels)))
    shares = np.bincount(labels[held_out], minlength=13) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.03
    again = calibration_split(labels, calibration_ratio=0.2, seed=7)
    np.testing.assert_array_equal(again[1], held_out)
    other = calibration_split(labels, calibration_ratio=0.2, seed=8)
    assert not np.array_equal(other[1], held_out)


def test_files_that_the_run_was_not_trained_on_are_refused(write_chats: WriteChats, tmp_path: Path) -> None:
    """With other files the split falls elsewhere, and chats it was trained on would pass as held out."""
    rows = [
        _chat(f"{code}{i}", category=code, messages=[{"role": "user", "content": f"{code} {i}"}])
        for code in "AB"
        for i in range(2)
    ]
    path = write_chats(rows)
    record = record_data([path], read_labelled_chats([path], Windowing(), frozenset()), frozenset())
    (tmp_path / "data.json").write_bytes(orjson.dumps(record.model_dump(mode="json")))
    assert len(read_recorded_chats(tmp_path, [path], TrainConfig())[1]) == len(rows)
    write_chats([*rows, _chat("another")])
    with pytest.raises(ValueError, match="in the same order"):
        read_recorded_chats(tmp_path, [path], TrainConfig())
