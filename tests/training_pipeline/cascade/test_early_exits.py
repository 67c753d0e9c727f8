"""Rows leave between the layers where they are sure, and nobody else notices."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from model import Classifier, load_bundle
from model.bundle.manifest import CALIBRATION_NAME, ExitSides
from model.calibration import softmax
from model.inference.session import OnnxSession
from model.tokenization import TokenIds
from schemas import CHAT_13, DEFAULT_POLICY
from tests.training_pipeline.chat_13 import GROUPS
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.cascade.add_exits import AddExitsRequest, add_exits
from training_pipeline.cascade.early_exit_fit import (
    EarlyExitOptions,
    EarlyExits,
    LayerMeans,
    exit_shares,
    fit_early_exits,
    layers_of,
)
from training_pipeline.cascade.early_exit_graph import ExitHead, ExitRule, with_exits, without_leaving
from training_pipeline.command_line import app
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import read_encoder_shape
from training_pipeline.graph.onnx_graph import build_graph
from training_pipeline.graph.quantise import PerTokenProducts
from training_pipeline.train.config import TrainConfig

ANY_SIDE = ExitSides(codes=["D", "J", "M"], margin=0.5)
"""Every row is sure of its side."""
WIDTH = 32
TINY = EarlyExitOptions(after_layers=(1,), confidence=0.0, margin=0.5)
"""The exit of a model of two layers that knows next to nothing: all that reach it leave."""


@pytest.fixture(scope="module")
def model(tiny_encoder: Path) -> bytes:
    """Return a random INT8 classifier of two layers."""
    torch.manual_seed(2)
    network = EncoderClassifier.from_pretrained(tiny_encoder, n_categories=13)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    return build_graph(weights, read_encoder_shape(tiny_encoder), PerTokenProducts()).SerializeToString()


@pytest.fixture(scope="module")
def rows() -> list[TokenIds]:
    """Return token rows of many lengths."""
    rng = np.random.default_rng(3)
    return [rng.integers(1000, 30000, size=n) for n in [2, 3, 7, 12, 30, 64, 100, 192] * 6]


def _head(after_layer: int = 1, seed: int = 5) -> ExitHead:
    rng = np.random.default_rng(seed)
    shapes: list[tuple[int, ...]] = [(WIDTH, 16), (16,), (16, 13), (13,)]
    return ExitHead(after_layer, *(rng.normal(scale=0.3, size=shape).astype(np.float32) for shape in shapes))


def _answers(model: bytes, rows: list[TokenIds], exits: EarlyExits) -> NDArray[np.float32]:
    return OnnxSession(exits.inside(model), n_threads=1, pad_id=0, n_categories=13).logits(rows)


def _plain(model: bytes, rows: list[TokenIds]) -> NDArray[np.float32]:
    return OnnxSession(model, n_threads=1, pad_id=0, n_categories=13).logits(rows)


def _means(model: bytes, rows: list[TokenIds]) -> NDArray[np.float32]:
    (means,), _ = LayerMeans(model, [1], pad_id=0, n_threads=1)(rows)
    return means


def test_rows_that_are_sure_get_the_answer_of_the_exit_and_the_others_that_of_the_model(
    model: bytes, rows: list[TokenIds]
) -> None:
    """The same rows side by side in one batch: who leaves changes nothing for who stays."""
    head = _head()
    confidence = float(np.median(softmax(head.logits(_means(model, rows))).max(axis=1)))
    exits = EarlyExits([head], ExitRule(confidence, ANY_SIDE, CHAT_13.codes))
    leaves = exits.left_after([_means(model, rows)]) == 1
    assert 0 < leaves.sum() < len(rows)
    found = _answers(model, rows, exits)
    np.testing.assert_allclose(found[leaves], head.logits(_means(model, rows))[leaves], atol=1e-3)
    np.testing.assert_allclose(found[~leaves], _plain(model, rows)[~leaves], atol=1e-5)


def test_a_row_answers_the_same_alone_as_in_a_batch(model: bytes, rows: list[TokenIds]) -> None:
    """A verdict is deterministic only if the batch it happened to be in does not matter."""
    exits = EarlyExits([_head()], ExitRule(0.7, ANY_SIDE, CHAT_13.codes))
    alone = np.concatenate([_answers(model, [row], exits) for row in rows])
    np.testing.assert_allclose(_answers(model, rows, exits), alone, atol=1e-4)


def test_a_teacher_answers_with_its_last_layer(model: bytes, rows: list[TokenIds]) -> None:
    """An exit gives what a few layers know; a student is to learn what all of them do."""
    exits = EarlyExits([_head()], ExitRule(0.0, ANY_SIDE, CHAT_13.codes))
    whole = without_leaving(exits.inside(model))
    found = OnnxSession(whole, n_threads=1, pad_id=0, n_categories=13).logits(rows)
    np.testing.assert_allclose(found, _plain(model, rows), atol=1e-5)
    assert without_leaving(model) == onnx.load_from_string(model).SerializeToString(deterministic=True)


@pytest.mark.parametrize(("confidence", "leave"), [(0.0, True), (1.1, False)])
def test_a_batch_that_leaves_or_stays_as_a_whole_is_answered(
    *, model: bytes, rows: list[TokenIds], confidence: float, leave: bool
) -> None:
    """ONNX Runtime's integer products fail on a batch without rows."""
    head = _head()
    found = _answers(model, rows, EarlyExits([head], ExitRule(confidence, ANY_SIDE, CHAT_13.codes)))
    expected = head.logits(_means(model, rows)) if leave else _plain(model, rows)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_row_that_is_unsure_of_its_side_stays_however_confident(model: bytes, rows: list[TokenIds]) -> None:
    """Between a banned category and a safe one the whole model ranks better."""
    head = ExitHead(
        1, np.zeros((WIDTH, 1), np.float32), np.zeros(1, np.float32), np.zeros((1, 13), np.float32), _even()
    )
    narrow = ExitSides(codes=["D", "J", "M"], margin=0.05)
    found = _answers(model, rows, EarlyExits([head], ExitRule(0.4, narrow, CHAT_13.codes)))
    np.testing.assert_allclose(found, _plain(model, rows), atol=1e-5)


def _even() -> NDArray[np.float32]:
    """Return logits that halve the probability between D, which is banned, and A, which is safe."""
    logits = np.full(13, -20.0, dtype=np.float32)
    logits[[0, 3]] = 0.0
    return logits


def test_several_exits_let_each_row_leave_at_the_first_that_is_sure(tmp_path: Path) -> None:
    """Of exits one inside the other, each hands the rows that are left on."""
    torch.manual_seed(4)
    from transformers import BertConfig, BertModel  # noqa: PLC0415

    sizes = {"hidden_size": WIDTH, "num_attention_heads": 4, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=500, num_hidden_layers=4, initializer_range=0.3, **sizes)).save_pretrained(tmp_path)
    network = EncoderClassifier.from_pretrained(tmp_path, n_categories=13)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    deep = build_graph(weights, read_encoder_shape(tmp_path), PerTokenProducts()).SerializeToString()
    assert layers_of(deep) == 4
    rng = np.random.default_rng(6)
    rows = [rng.integers(0, 500, size=n) for n in [3, 9, 20, 40] * 40]
    means, logits = LayerMeans(deep, [1, 2, 3], pad_id=0, n_threads=1)(rows)
    heads = [_sure_of_half(layer, mean) for layer, mean in zip((1, 2, 3), means, strict=True)]
    exits = EarlyExits(heads, ExitRule(0.8, ANY_SIDE, CHAT_13.codes))
    onnx.checker.check_model(onnx.load_from_string(exits.inside(deep)))
    layers = exits.left_after(means)
    assert set(layers) == {0, 1, 2, 3}
    found = _answers(deep, rows, exits)
    for layer, expected in ((0, logits), *((i + 1, heads[i].logits(means[i])) for i in range(3))):
        np.testing.assert_allclose(found[layers == layer], expected[layers == layer], atol=1e-2)
    assert sum(exit_shares(layers).values()) == pytest.approx((layers > 0).mean(), abs=1e-3)


def _sure_of_half(after_layer: int, means: NDArray[np.float32]) -> ExitHead:
    """Return a head that is sure of category A where a row's mean lies on one side of the others', unsure elsewhere."""
    direction = np.random.default_rng(after_layer).normal(size=(WIDTH, 1)).astype(np.float32)
    direction *= 100 / (means @ direction).std()
    output = np.zeros((1, 13), dtype=np.float32)
    output[0, 0] = 1.0
    return ExitHead(after_layer, direction, -(means @ direction).mean(axis=0), output, np.zeros(13, np.float32))


def test_exits_that_the_graph_has_no_place_for_are_refused(model: bytes) -> None:
    """A layer that is not there, or one named twice."""
    graph, rule = onnx.load_from_string(model), ExitRule(0.8, ANY_SIDE, CHAT_13.codes)
    with pytest.raises(ValueError, match="no layer6"):
        with_exits(graph, [_head(7)], rule)
    with pytest.raises(ValueError, match="each layer once, in order"):
        with_exits(graph, [_head(1), _head(1)], rule)
    with pytest.raises(ValueError, match="at least one"):
        with_exits(graph, [], rule)


def test_fitted_exits_say_what_the_model_says_and_the_same_fit_gives_the_same_exits(
    model: bytes, rows: list[TokenIds]
) -> None:
    """The network learns from the model's own answers."""
    labels = _plain(model, rows).argmax(axis=1)

    def fitted() -> EarlyExits:
        options = EarlyExitOptions(after_layers=(1, 2, 9))
        exits = fit_early_exits(
            model, rows * 8, (rows, labels), options, groups=GROUPS, temperature=1.5, seed=1, pad_id=0, n_threads=1
        )
        assert exits is not None
        return exits

    exits = fitted()
    assert [head.after_layer for head in exits.heads] == [1]
    assert exits.rule.temperature == 1.5
    assert (exits.heads[0].logits(_means(model, rows)).argmax(axis=1) == labels).mean() > 0.7
    assert fitted().inside(model) == exits.inside(model)


def test_an_encoder_of_one_layer_gets_none(model: bytes, rows: list[TokenIds]) -> None:
    """Behind the last layer there is nothing to save."""
    scaling = (rows, np.zeros(len(rows), dtype=np.int64))
    options = EarlyExitOptions(after_layers=(2, 3))
    assert (
        fit_early_exits(model, rows, scaling, options, groups=GROUPS, temperature=1.0, seed=1, pad_id=0, n_threads=1)
        is None
    )


@pytest.fixture
def plain_bundle(tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a bundle without exits."""
    out = tmp_path / "plain"
    export_bundle(_export(tiny_run, out, labelled_files, tiny_encoder, None))
    return out


def _export(
    run: Path, out: Path, files: tuple[Path, Path], encoder: Path, options: EarlyExitOptions | None
) -> ExportRequest:
    return ExportRequest(run, [files[0]], out, "tiny", "0.1", [files[1]], encoder=encoder, early_exits=options)


def _add(bundle: Path, out: Path, files: tuple[Path, Path], **config: Any) -> AddExitsRequest:
    known = TrainConfig(**{"calibration_ratio": 0.5, **config})
    return AddExitsRequest(bundle, [files[0]], known, out, "0.1", [files[1]], TINY)


def test_exits_added_to_a_bundle_are_those_that_export_would_have_given_it(
    plain_bundle: Path, tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Two ways to one bundle: whoever has lost the run can still add them."""
    exported = export_bundle(_export(tiny_run, tmp_path / "exported", labelled_files, tiny_encoder, TINY))
    added = add_exits(_add(plain_bundle, tmp_path / "added", labelled_files))
    assert exported["early_exits"]["after_layers"] == [1]
    assert 0 < sum(exported["dev"]["early_exits"]["exit_ratio_after_layer"].values()) <= 1
    for name in ("early_exits", "calibration", "dev"):
        assert added[name] == exported[name]
    assert load_bundle(tmp_path / "added").model == load_bundle(tmp_path / "exported").model
    assert (tmp_path / "added" / CALIBRATION_NAME).read_bytes() == (
        tmp_path / "exported" / CALIBRATION_NAME
    ).read_bytes()
    assert "leave after layer 1" in (tmp_path / "added" / "MODEL_CARD.md").read_text(encoding="utf-8")
    Classifier(load_bundle(tmp_path / "added"), DEFAULT_POLICY, n_threads=2).warm_up()


@pytest.mark.parametrize(
    ("config", "message"), [({"seed": 3}, "other probabilities"), ({"calibration_ratio": 0.3}, "carry the guarantee")]
)
def test_chats_that_the_bundle_was_not_calibrated_on_are_refused(
    *, plain_bundle: Path, labelled_files: tuple[Path, Path], tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    """Chats that trained the model would make its guarantee a lie."""
    with pytest.raises(ValueError, match=message):
        add_exits(_add(plain_bundle, tmp_path / "out", labelled_files, **config))
    assert not (tmp_path / "out").exists()


def test_a_bundle_with_exits_gets_no_others(
    plain_bundle: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A second set would be fitted to the answers of the first."""
    add_exits(_add(plain_bundle, tmp_path / "once", labelled_files))
    with pytest.raises(ValueError, match="has exits already"):
        add_exits(_add(tmp_path / "once", tmp_path / "twice", labelled_files))


def test_the_command_refuses_in_words_and_names_the_bundle_it_wrote(
    plain_bundle: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Exits twice are refused, and the bundle that has them stays as it was."""
    out = tmp_path / "out"
    arguments = ["add-exits", "--data", str(labelled_files[0]), "--version", "0.2"]
    arguments += ["--calibration-ratio", "0.5", "--threads", "1", "--out", str(out)]
    added = CliRunner().invoke(app, [*arguments, "--bundle", str(plain_bundle)])
    assert added.exit_code == 0
    assert str(out) in added.output
    refused = CliRunner().invoke(app, [*arguments, "--bundle", str(out)])
    assert refused.exit_code != 0
    assert "has exits already" in str(refused.exception)
    assert orjson.loads((plain_bundle / "manifest.json").read_bytes())["version"] == "0.1"


@pytest.mark.parametrize(("n_layers", "expected"), [(1, []), (2, [1]), (4, [1, 2, 3]), (6, [2, 3, 4]), (12, [4, 6, 8])])
def test_exits_stand_after_a_third_a_half_and_two_thirds_of_the_layers(n_layers: int, expected: list[int]) -> None:
    """A single layer has none behind it."""
    assert EarlyExitOptions().layers(n_layers) == expected
