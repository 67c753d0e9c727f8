"""A bundle that is damaged in any way is refused with a text that says what was found and what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from model import Bundle, BundleError, Classifier, load_bundle
from model.bundle.files import sha256_of
from model.bundle.manifest import CALIBRATION_NAME, FIRST_STAGE_NAME, NETWORK_NAME, REQUIRED_FILES
from model.bundle.thresholds import thresholds_for
from schemas import CHAT_13, DEFAULT_POLICY

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def copy(bundle_path: Path, tmp_path: Path) -> Path:
    """Return a copy of the shipped bundle, to be damaged."""
    return Path(shutil.copytree(bundle_path, tmp_path / "bundle"))


def rewrite(folder: Path, change: Change) -> None:
    """Change the manifest and keep its file digests right."""
    path = folder / "manifest.json"
    manifest = orjson.loads(path.read_bytes())
    change(manifest)
    path.write_bytes(orjson.dumps(manifest))


def replace(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and its digest, as somebody with access to both would."""
    (folder / name).write_bytes(content)
    entry = {"digest": sha256_of(content), "n_bytes": len(content)}
    rewrite(folder, lambda manifest: manifest["files"].update({name: entry}))


def test_the_shipped_bundle_is_complete(bundle: Bundle) -> None:
    """It ships inside the repository so that the first run works offline."""
    assert bundle.manifest.labels == list(CHAT_13.codes)
    assert bundle.ref.digest.startswith("sha256:")
    assert bundle.calibration_probabilities.shape == (len(bundle.calibration_labels), len(CHAT_13.codes))


def test_the_thresholds_of_the_shipped_bundle_are_those_of_its_calibration(bundle: Bundle) -> None:
    """What people read in the manifest must be what the worker decides by."""
    assert thresholds_for(bundle.risk_curves(DEFAULT_POLICY), DEFAULT_POLICY) == bundle.manifest.thresholds


@pytest.mark.parametrize("name", sorted(REQUIRED_FILES | {CALIBRATION_NAME, FIRST_STAGE_NAME, NETWORK_NAME}))
def test_one_changed_byte_in_any_file_is_refused(copy: Path, name: str) -> None:
    """A bundle is served exactly as it was evaluated, or not at all."""
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name}: digest is sha256:.*manifest.json says sha256:.*or write it again"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "name", [*sorted(REQUIRED_FILES | {CALIBRATION_NAME, FIRST_STAGE_NAME, NETWORK_NAME}), "manifest.json"]
)
def test_a_missing_file_is_refused(copy: Path, name: str) -> None:
    """A copy that stopped half-way."""
    (copy / name).unlink()
    with pytest.raises(BundleError, match=rf"{name}: cannot be read \(No such file or directory\)"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["weights.pkl", "model.onnx.data", ".hidden", "custom_op.so"])
def test_an_unknown_file_is_refused(copy: Path, name: str) -> None:
    """Pickles, external weights and operator libraries have no place in a bundle."""
    (copy / name).write_bytes(b"x")
    with pytest.raises(BundleError, match=f"holds {name}; expected only"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_link_is_refused_although_its_target_is_right(copy: Path, tmp_path: Path, name: str) -> None:
    """A link can be pointed elsewhere after the check (CVE-2024-27318 and its like)."""
    target = tmp_path / name
    shutil.move(copy / name, target)
    (copy / name).symlink_to(target)
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(copy)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A typo in MODERATION_MODEL__PATH."""
    with pytest.raises(BundleError, match="MODERATION_MODEL__PATH"):
        load_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param(lambda m: m["labels"].pop(), "labels are", id="12 labels"),
        pytest.param(lambda m: m["labels"].append("N"), "labels are", id="14 labels"),
        pytest.param(lambda m: m["labels"].reverse(), "in this order", id="labels in another order"),
        pytest.param(lambda m: m.update(format_version=3), "format_version", id="a later format"),
        pytest.param(lambda m: m.update(format_version=1), "evidence, languages is there", id="pieces in format 1"),
        pytest.param(lambda m: m.update(surprise=1), "surprise", id="an unknown field"),
        pytest.param(
            lambda m: (m.update(format_version=1), m["windowing"].update(keeps_request=True)),
            "windowing.keeps_request is there; expected format_version 2",
            id="a later windowing",
        ),
        pytest.param(lambda m: m.pop("temperature"), "temperature", id="no temperature"),
        pytest.param(lambda m: m.update(temperature=0), "temperature", id="a temperature of 0"),
        pytest.param(lambda m: m["files"].pop("model.onnx"), "files are", id="a file without digest"),
        pytest.param(lambda m: m["files"].update({"../x": m["files"]["model.onnx"]}), "files are", id="a path outside"),
        pytest.param(lambda m: m["files"]["model.onnx"].update(digest="md5:0"), "digest", id="another digest"),
        pytest.param(lambda m: m["windowing"].update(max_tokens=100_000), "max_tokens", id="rows too long"),
        pytest.param(lambda m: m.pop("first_stage"), "files are", id="weights of no first stage"),
        pytest.param(lambda m: m["first_stage"]["intercept"].pop(), "intercept", id="12 intercepts"),
        pytest.param(
            lambda m: m["first_stage"]["exit_sides"].update(codes=["A", "Z"]),
            "exit sides",
            id="exit sides of no category",
        ),
        pytest.param(lambda m: m["evidence"]["weights"].pop("B"), "evidence has weights of", id="12 weights"),
        pytest.param(lambda m: m["first_stage"].update(exit_from=1.5), "exit_from", id="a confidence above 1"),
        pytest.param(lambda m: m.update(version="latest"), "version", id="a version without numbers"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(copy: Path, change: Change, complaint: str) -> None:
    """A model read with the wrong labels or windows answers with confidence, and wrongly."""
    rewrite(copy, change)
    with pytest.raises(BundleError, match=rf"(?s)manifest\.json: not a manifest this version understands.*{complaint}"):
        load_bundle(copy)


def test_a_bundle_of_format_2_holds_the_evidence_of_its_calibration_chats(copy: Path) -> None:
    """Its curves stand on the score that is served; without these rows they would stand on another."""
    document = orjson.loads((copy / "calibration.json").read_bytes())
    evidence = document.pop("evidence")
    replace(copy, "calibration.json", orjson.dumps(document))
    with pytest.raises(BundleError, match=r"calibration\.json: not readable \('evidence'\)"):
        load_bundle(copy)
    replace(copy, "calibration.json", orjson.dumps(document | {"evidence": evidence}))
    bundle = load_bundle(copy)
    assert bundle.calibration_evidence.shape == bundle.calibration_probabilities.shape
    replace(copy, "calibration.json", orjson.dumps(document | {"evidence": evidence[1:]}))
    with pytest.raises(BundleError, match="shape is"):
        load_bundle(copy)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"PK\x03\x04"])
def test_a_manifest_that_is_no_manifest_is_refused(copy: Path, content: bytes) -> None:
    """Whatever the bytes are, the text names the file and the remedy."""
    (copy / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"(?s)manifest\.json: not a manifest.*or write it again"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{}",
        b'{"labels":"Z","probabilities":[[0.5]]}',
        b'{"labels":"AD","probabilities":[[0.5,0.5]]}',
        b'{"labels":"A","probabilities":["x"]}',
        b'{"labels":5,"probabilities":[]}',
    ],
)
def test_a_calibration_file_that_cannot_be_used_is_refused(copy: Path, content: bytes) -> None:
    """Right digest, wrong content: the risks would be made up."""
    replace(copy, "calibration.json", content)
    with pytest.raises(BundleError, match=r"calibration\.json"):
        load_bundle(copy)


@pytest.mark.parametrize("keep_ratio", [0.0, 0.5, 0.999])
def test_a_truncated_model_with_a_right_digest_is_refused(copy: Path, keep_ratio: float) -> None:
    """The digest tells that the file is the one that was described, not that it is a model."""
    content = (copy / "model.onnx").read_bytes()
    replace(copy, "model.onnx", content[: int(len(content) * keep_ratio)])
    with pytest.raises(BundleError, match=r"model\.onnx"):
        Classifier(load_bundle(copy), DEFAULT_POLICY, n_threads=1)


def test_a_policy_that_the_calibration_cannot_speak_for_is_refused(bundle: Bundle) -> None:
    """No calibration chat of a banned category: no risk can be told."""
    present = {CHAT_13.codes[label] for label in bundle.calibration_labels}
    missing = next(iter(set(CHAT_13.codes) - present), None)
    banned = frozenset([missing]) if missing else frozenset(CHAT_13.codes) - {"A"}
    policy = DEFAULT_POLICY.model_copy(update={"banned": banned})
    labels = bundle.calibration_labels
    if missing is None:
        labels = labels[labels != CHAT_13.codes.index("A")]
    narrowed = type(bundle)(
        manifest=bundle.manifest,
        digest=bundle.digest,
        model=bundle.model,
        tokenizer_json=bundle.tokenizer_json,
        calibration_probabilities=bundle.calibration_probabilities[: len(labels)],
        calibration_labels=labels,
        calibration_evidence=bundle.calibration_evidence[: len(labels)],
    )
    with pytest.raises(BundleError, match="policy 'default': calibration chats"):
        narrowed.risk_curves(policy)
