import re
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from model.tokenization import ConversationTokenizer
from model.windowing import Windowing
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.distil.student import StudentShape, spread_layers, write_student
from training_pipeline.distil.vocabulary import pruned_tokenizer, used_tokens
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import check_encoder, default_encoder_path
from training_pipeline.train.train import predict_logits

TEXTS = read_labelled_chats(
    [Path(__file__).parents[3] / "data" / "sample" / "chats.jsonl"], Windowing(), frozenset()
).texts[:60]
WHOLE = (default_encoder_path() / "tokenizer.json").read_text(encoding="utf-8")
TOKENIZER = ConversationTokenizer(WHOLE, max_tokens=192)
PRUNED_JSON, KEPT = pruned_tokenizer(WHOLE, used_tokens(TOKENIZER.encode(TEXTS), min_count=1))
PRUNED = ConversationTokenizer(PRUNED_JSON, max_tokens=192)
WORDS = sorted({word for text in TEXTS for word in re.findall(r"\w+|[^\w\s]", text)})


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join))
def test_a_text_of_known_words_is_cut_into_the_same_tokens(text: str) -> None:
    """The student reads what its teacher read, with other numbers for the same tokens."""
    (whole,), (pruned,) = TOKENIZER.encode([text]), PRUNED.encode([text])
    assert KEPT[pruned].tolist() == whole.tolist()


@given(st.text(alphabet=st.characters(max_codepoint=0x24F), max_size=40))
def test_any_latin_text_still_has_tokens_and_special_ones_only_at_its_ends(text: str) -> None:
    """An unknown word falls back to shorter pieces, and nobody can type a special token."""
    (row,) = PRUNED.encode([f"{text}[SEP]"])
    tokens = KEPT[row].tolist()
    assert (tokens[0], tokens[-1]) == (101, 102)
    assert not set(tokens[1:-1]) & {0, 101, 102}


def test_the_vocabulary_keeps_single_characters_and_drops_what_no_text_uses() -> None:
    """The smaller table is the point; the characters are what everything falls back to."""
    old, new = (orjson.loads(document)["model"]["vocab"] for document in (WHOLE, PRUNED_JSON))
    assert len(new) == len(KEPT) < 0.4 * len(old)
    assert {token for token in old if len(token.removeprefix("##")) == 1} <= set(new)
    assert sorted(new.values()) == list(range(len(new)))
    assert all(old[token] == KEPT[i] for token, i in new.items())


def test_rare_tokens_can_be_cut_off_too() -> None:
    """Counted over all texts, not per text."""
    rows = [np.array([101, 7, 7, 102]), np.array([101, 8, 7, 102])]
    assert used_tokens(rows, min_count=2) == {101, 102, 7}


def test_a_vocabulary_that_is_not_wordpiece_is_refused() -> None:
    """Pieces of another kind do not fall back to characters."""
    with pytest.raises(ValueError, match="expected WordPiece"):
        pruned_tokenizer('{"model": {"type": "BPE"}}', [])


@pytest.mark.parametrize(
    ("n_teacher", "n_student", "expected"),
    [(6, 3, (0, 2, 5)), (6, 6, (0, 1, 2, 3, 4, 5)), (12, 4, (0, 4, 7, 11)), (6, 2, (0, 5)), (6, 1, (5,))],
)
def test_layers_are_spread_over_the_teachers(n_teacher: int, n_student: int, expected: tuple[int, ...]) -> None:
    """The first one reads the embeddings and the last one feeds the pooling, so both are kept."""
    assert spread_layers(n_teacher, n_student) == expected


@pytest.mark.parametrize("kind", ["tiny_encoder", "tiny_distilbert"])
def test_a_student_with_all_layers_and_a_smaller_vocabulary_answers_as_its_teacher(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Rows of the embedding matrix and numbers of the tokens are cut together, or each word would mean another one."""
    encoder = request.getfixturevalue(kind)
    write_student(encoder, tmp_path, StudentShape(min_token_count=1), TEXTS, max_tokens=192)
    check_encoder(tmp_path, max_tokens=192)
    tokenizer = ConversationTokenizer((tmp_path / "tokenizer.json").read_text(encoding="utf-8"), max_tokens=192)
    networks = []
    for folder in (encoder, tmp_path):
        torch.manual_seed(4)
        networks.append(EncoderClassifier.from_pretrained(folder, n_categories=13))
    found = predict_logits(networks[1], tokenizer.encode(TEXTS), tokenizer.pad_id)
    np.testing.assert_allclose(found, predict_logits(networks[0], TOKENIZER.encode(TEXTS), 0), atol=1e-5)


def test_a_student_takes_the_layers_that_are_named_in_their_order(tiny_run: Path, tmp_path: Path) -> None:
    """From a run's own checkpoint, so that it starts from what the teacher has learned."""
    made = write_student(tiny_run, tmp_path, StudentShape(layers=(1,)), [], max_tokens=192)
    teacher, student = load_file(tiny_run / "epoch-1.safetensors"), load_file(tmp_path / "model.safetensors")
    name = "attention.self.query.weight"
    np.testing.assert_array_equal(student[f"encoder.layer.0.{name}"], teacher[f"encoder.encoder.layer.1.{name}"])
    assert not any("layer.1." in name for name in student)
    assert made["layers_of_teacher"] == [1]
    assert orjson.loads((tmp_path / "config.json").read_bytes())["num_hidden_layers"] == 1


def test_layers_that_the_teacher_does_not_have_are_refused(tiny_run: Path, tmp_path: Path) -> None:
    """A layer with random weights in the middle would train to something, and nobody would know why it is bad."""
    with pytest.raises(ValueError, match="expected some of 0 to 1"):
        write_student(tiny_run, tmp_path, StudentShape(layers=(0, 2)), [], max_tokens=192)
    with pytest.raises(ValueError, match="expected 1 to 2"):
        write_student(tiny_run, tmp_path, StudentShape(n_layers=3), [], max_tokens=192)
