import shutil
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch

from model import Classification, Classifier, load_bundle
from model.inference.session import OnnxSession
from schemas import DEFAULT_POLICY, Role, Turn
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import check_encoder, read_encoder_shape, resolve_encoder
from training_pipeline.graph.onnx_graph import FloatProducts, build_graph
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.train import predict_logits, run_training


@pytest.fixture(params=["tiny_encoder", "tiny_distilbert"])
def encoder(request: pytest.FixtureRequest) -> Path:
    """Return one encoder after the other."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_graph_computes_what_torch_computes_for_each_encoder_and_pooling(encoder: Path, pooling: str) -> None:
    """What is exported must be what was trained, or every figure of the run is of another model."""
    torch.manual_seed(2)
    network = EncoderClassifier.from_pretrained(encoder, n_categories=13, pooling=pooling)
    rng = np.random.default_rng(3)
    rows = [rng.integers(1000, 30000, size=n) for n in (2, 7, 30, 100)]
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    graph = build_graph(weights, read_encoder_shape(encoder, pooling=pooling), FloatProducts())
    found = OnnxSession(graph.SerializeToString(), n_threads=1, pad_id=0, n_categories=13).logits(rows)
    np.testing.assert_allclose(found, predict_logits(network, rows, pad_id=0), atol=1e-4)


def test_a_distilbert_with_first_token_pooling_becomes_a_bundle_without_naming_it_again(
    tiny_distilbert: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A run keeps what export needs of its encoder."""
    config = TrainConfig(n_epochs=1, calibration_ratio=0.5, pooling="cls")
    run_training([labelled_files[0]], None, tmp_path / "run", config, encoder=tiny_distilbert)
    export_bundle(ExportRequest(tmp_path / "run", [labelled_files[0]], tmp_path / "bundle", "tiny", "0.1"))
    classifier = Classifier(load_bundle(tmp_path / "bundle"), DEFAULT_POLICY, n_threads=1)
    (found,), _ = classifier.classify([[Turn(Role.USER, "write a poem about the sea")]])
    assert isinstance(found, Classification)


def test_dropout_inside_the_encoder_is_set_whatever_the_encoder_calls_it(encoder: Path) -> None:
    """A rate that silently stays at the pretrained one makes two runs differ that should not."""
    network = EncoderClassifier.from_pretrained(encoder, n_categories=13, encoder_dropout=0.25)
    rates = {module.p for name, module in network.encoder.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.25}


def test_weights_that_are_only_there_as_pickle_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    """Loading a pickle runs whatever its author wrote."""
    for name in ("config.json", "tokenizer.json"):
        shutil.copy(tiny_encoder / name, tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin.*pickle"):
        check_encoder(tmp_path, max_tokens=192)


def test_an_encoder_that_does_not_fit_is_refused_before_anything_is_trained(tiny_encoder: Path, tmp_path: Path) -> None:
    """The fault would show as an index error in the middle of an epoch, or as nothing at all."""
    folder = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    with pytest.raises(ValueError, match="512 positions"):
        check_encoder(folder, max_tokens=513)
    tokenizer = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(tokenizer.replace("[PAD]", "<pad>"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"no \[PAD\]"):
        check_encoder(folder, max_tokens=192)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="fast tokenizer"):
        check_encoder(folder, max_tokens=192)
    config = orjson.loads((folder / "config.json").read_bytes())
    (folder / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    (folder / "config.json").write_bytes(orjson.dumps({**config, "vocab_size": 100}))
    with pytest.raises(ValueError, match="30522 tokens for 100 embeddings"):
        check_encoder(folder, max_tokens=192)


def test_a_hub_model_is_taken_from_the_cache_and_never_fetched_unasked(tiny_encoder: Path, tmp_path: Path) -> None:
    """A training machine without network works, and one with network does not download by a typo."""
    with pytest.raises(ValueError, match="--allow-download"):
        resolve_encoder("someone/tiny-bert", cache=tmp_path)
    stored = tmp_path / "models--someone--tiny-bert"
    shutil.copytree(tiny_encoder, stored / "snapshots" / "abc123")
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("abc123", encoding="utf-8")
    found = resolve_encoder("someone/tiny-bert", cache=tmp_path)
    check_encoder(found, max_tokens=192)
    assert resolve_encoder(str(tiny_encoder)) == tiny_encoder
