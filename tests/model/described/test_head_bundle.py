"""A bundle that is a head on the frozen encoder: what it holds, and which ones are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from model import BundleError, Classifier, TextClassifier, load_bundle
from model.bundle.bundle import bundle_of
from model.bundle.files import sha256_of
from model.bundle.manifest import HEAD_NAME, MANIFEST_NAME
from model.described.frozen_encoder import FROZEN_ENCODER_PATH, load_frozen_encoder, shipped_encoder
from model.described.head import Head, read_head
from schemas import Role, Turn


@pytest.fixture(scope="module")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a saved bundle of two classes."""
    made = TextClassifier.from_descriptions({"cat": "Cats meow and purr.", "dog": "Dogs bark and fetch."})
    return made.save(tmp_path_factory.mktemp("bundles") / "pets")


def _changed(folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    copy = Path(shutil.copytree(folder, tmp_path / "changed"))
    manifest = orjson.loads((copy / MANIFEST_NAME).read_bytes())
    change(manifest)
    (copy / MANIFEST_NAME).write_bytes(orjson.dumps(manifest))
    return copy


def test_it_takes_kilobytes_and_shares_the_encoder(pets: Path) -> None:
    """Hundreds of them fit where one model does."""
    assert sum(path.stat().st_size for path in pets.iterdir()) < 20_000
    assert load_bundle(pets).model is shipped_encoder().model


def test_a_conversation_is_read_bare_and_its_last_message_counts(pets: Path) -> None:
    """The encoder never saw role marks; the worker's chats go the way of lone texts."""
    bundle = load_bundle(pets)
    classifier = Classifier(bundle, bundle.default_policy, n_threads=1)
    chats = [
        [Turn(Role.USER, "my kitten purrs")],
        [Turn(Role.USER, "hello"), Turn(Role.ASSISTANT, "Hi!"), Turn(Role.USER, "my puppy barks and fetches the ball")],
    ]
    classifier.warm_up()
    answers, stats = classifier.classify(chats)
    assert [answer.category for answer in answers] == ["cat", "dog"]  # type: ignore[union-attr]
    assert stats.n_first_stage == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m["encoder"].update(digest=f"sha256:{'0' * 64}"),
            "its head was fitted on bge-small-en-v1.5 sha256:0",
        ),
        (lambda m: m.update(format_version=1), "expected format_version 2"),
        (lambda m: m.pop("encoder"), r"files are \['MODEL_CARD.md', 'head.npz'\]; expected"),
        (lambda m: m["files"].pop(HEAD_NAME), "expected"),
        (lambda m: m.update(calibrated=True), "calibration.json"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    pets: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """A head on another encoder would answer, and wrongly."""
    with pytest.raises(BundleError, match=message):
        load_bundle(_changed(pets, tmp_path, change))


def test_a_head_of_another_taxonomy_is_refused(pets: Path, tmp_path: Path) -> None:
    """Three columns for two categories."""
    other = Head(np.zeros((384, 3), np.float32), np.zeros(3, np.float32)).to_bytes()

    def swap(manifest: dict[str, Any]) -> None:
        manifest["files"][HEAD_NAME] = {"digest": sha256_of(other), "n_bytes": len(other)}

    folder = _changed(pets, tmp_path, swap)
    (folder / HEAD_NAME).write_bytes(other)
    with pytest.raises(BundleError, match=r"head\.npz: holds .*\(384, 3\).*; expected .*\(384, 2\)"):
        load_bundle(folder)


def test_an_altered_head_is_refused(pets: Path, tmp_path: Path) -> None:
    """As any file of a bundle."""
    folder = _changed(pets, tmp_path, lambda _: None)
    (folder / HEAD_NAME).write_bytes((folder / HEAD_NAME).read_bytes() + b" ")
    with pytest.raises(BundleError, match=r"head\.npz: digest is"):
        load_bundle(folder)


def test_a_bundle_in_memory_is_the_one_on_disk(pets: Path) -> None:
    """What was just fitted needs no folder to be tried."""
    contents = {path.name: path.read_bytes() for path in pets.iterdir()}
    assert bundle_of(contents, Path("pets")).digest == load_bundle(pets).digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not an archive", "is no archive of arrays"),
        (b"", "is no archive of arrays"),
        (Head(np.full((2, 2), np.nan, np.float32), np.zeros(2, np.float32)).to_bytes(), "holds NaN or infinity"),
        (Head(np.zeros((2, 2)), np.zeros(2, np.float32)).to_bytes(), "float64"),  # type: ignore[arg-type]
    ],
)
def test_a_head_that_is_none_is_refused(content: bytes, message: str) -> None:
    """Whatever the digest says."""
    with pytest.raises(ValueError, match=message):
        read_head(content, n_dimensions=2, n_categories=2)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "text_shift.npy", "LICENCE.txt"])
def test_an_altered_encoder_is_refused(tmp_path: Path, name: str) -> None:
    """Every bundle of the kind rests on it."""
    folder = Path(shutil.copytree(FROZEN_ENCODER_PATH, tmp_path / "encoder"))
    (folder / name).write_bytes(b"altered")
    with pytest.raises(BundleError, match=rf"{name}: digest is .*; install the package again"):
        load_frozen_encoder(folder)


def test_an_encoder_with_a_missing_file_or_a_strange_manifest_is_refused(tmp_path: Path) -> None:
    """It says what to do."""
    folder = Path(shutil.copytree(FROZEN_ENCODER_PATH, tmp_path / "encoder"))
    (folder / "text_shift.npy").unlink()
    with pytest.raises(BundleError, match=r"text_shift\.npy: cannot be read .*; install the package again"):
        load_frozen_encoder(folder)
    (folder / "manifest.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match="not an encoder's manifest"):
        load_frozen_encoder(folder)
