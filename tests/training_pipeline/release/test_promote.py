"""Promotion puts a verified bundle into service, keeps what was there, and can go back."""

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from model import BundleError, load_bundle
from model.bundle.manifest import MANIFEST_NAME
from model.bundle.pointer import rollback
from model.bundle.registry import POINTER_NAME, read_registry, served_bundle
from model.bundle.signature import verify
from tests.bundles import key_pair
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.command_line import app
from training_pipeline.release import promote as promotion
from training_pipeline.release.gated_promotion import GateRefused, PromotionRequest, gated_promotion
from training_pipeline.release.promote import promote


@pytest.fixture(scope="module")
def exported(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a tiny bundle."""
    out = tmp_path_factory.mktemp("exported") / "bundle"
    export_bundle(
        ExportRequest(run=tiny_run, data=[labelled_files[0]], out=out, name="tiny", version="0.1", encoder=tiny_encoder)
    )
    return out


@pytest.fixture
def bundles(exported: Path, tmp_path: Path) -> list[Path]:
    """Return three bundles that differ in their version only."""
    folders = []
    for version in ("1", "2", "3"):
        folder = Path(shutil.copytree(exported, tmp_path / f"bundle-{version}"))
        manifest = orjson.loads((folder / MANIFEST_NAME).read_bytes())
        (folder / MANIFEST_NAME).write_bytes(orjson.dumps({**manifest, "version": version}))
        folders.append(folder)
    return folders


def _served_version(registry: Path) -> str:
    return load_bundle(registry).manifest.version


def test_each_promotion_is_served_and_each_rollback_goes_one_further_back(bundles: list[Path], tmp_path: Path) -> None:
    """Two bad bundles in a row must be undone by two rollbacks, not by a swing between the two."""
    registry = tmp_path / "registry"
    for version, bundle in zip(("1", "2", "3"), bundles, strict=True):
        promote(bundle, registry)
        assert _served_version(registry) == version
    rollback(registry, reason="too many blocks")
    assert _served_version(registry) == "2"
    rollback(registry)
    assert _served_version(registry) == "1"
    with pytest.raises(BundleError, match="no bundle was served before"):
        rollback(registry)
    promote(bundles[2], registry)
    rollback(registry)
    assert _served_version(registry) == "1"
    assert [entry.reason for entry in read_registry(registry).history if entry.reason] == ["too many blocks"]


def test_a_rollback_may_name_any_bundle_that_was_served(bundles: list[Path], tmp_path: Path) -> None:
    """The last good one is not always the last one."""
    registry = tmp_path / "registry"
    digests = [promote(bundle, registry).digest for bundle in bundles]
    rollback(registry, to=digests[0].removeprefix("sha256:")[:10])
    assert load_bundle(registry).digest == digests[0]
    with pytest.raises(BundleError, match=r"names 0 bundles; expected one of sha256:"):
        rollback(registry, to="ffff")


def test_a_killed_promotion_leaves_the_old_bundle_in_service_and_can_be_repeated(
    bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may start at any moment of it."""
    registry = tmp_path / "registry"
    promote(bundles[0], registry)
    n_written = 0
    write = promotion.write_durably

    def killed_at_the_third(path: Path, content: bytes) -> None:
        nonlocal n_written
        n_written += 1
        if n_written == 3:
            raise KeyboardInterrupt
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "write_durably", killed_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            promote(bundles[1], registry)
    assert _served_version(registry) == "1"
    promote(bundles[1], registry)
    assert _served_version(registry) == "2"


def test_a_copy_that_differs_from_what_was_checked_never_becomes_current(
    bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses a byte must not decide what is served."""
    registry = tmp_path / "registry"
    promote(bundles[0], registry)
    write = promotion.write_durably
    monkeypatch.setattr(
        promotion,
        "write_durably",
        lambda path, content: write(path, content[:-1] if path.name == "model.onnx" else content),
    )
    with pytest.raises(BundleError, match=r"model.onnx: digest is"):
        promote(bundles[1], registry)
    assert _served_version(registry) == "1"


def test_a_damaged_bundle_in_the_registry_is_not_gone_back_to(bundles: list[Path], tmp_path: Path) -> None:
    """A rollback is done in a hurry; it must not make things worse."""
    registry = tmp_path / "registry"
    first = promote(bundles[0], registry)
    promote(bundles[1], registry)
    (registry / first.location / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match=r"tokenizer.json: digest is"):
        rollback(registry)
    assert _served_version(registry) == "2"


def test_a_name_that_is_no_folder_name_is_refused(exported: Path, tmp_path: Path) -> None:
    """A bundle's name is free text; a path must not grow out of it."""
    folder = Path(shutil.copytree(exported, tmp_path / "bundle"))
    manifest = orjson.loads((folder / MANIFEST_NAME).read_bytes())
    (folder / MANIFEST_NAME).write_bytes(orjson.dumps({**manifest, "name": "../up"}))
    with pytest.raises(BundleError, match=r"named '../up'.*export it under another --name"):
        promote(folder, tmp_path / "registry")


def test_the_gate_stands_between_a_candidate_and_a_bundle_in_service(
    bundles: list[Path], labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The same answers pass; without chats nothing passes but by force, and the force is on record."""
    registry, console = tmp_path / "registry", Console(quiet=True)

    def go(bundle: Path, **fields: Any) -> None:
        gated_promotion(PromotionRequest(bundle, registry, **fields), console)

    go(bundles[0])
    with pytest.raises(GateRefused, match="no labelled chats to compare"):
        go(bundles[1])
    go(bundles[1], data=[labelled_files[1]])
    assert _served_version(registry) == "2"
    gate = read_registry(registry).current.gate
    assert gate is not None
    assert gate["passes"]
    assert all(line["difference"] == 0 for line in gate["figures"])
    go(bundles[2], force_reason="incident 7")
    assert read_registry(registry).current.reason == "incident 7"


def test_a_worse_candidate_is_refused_and_named_figures_say_why(
    exported: Path, bundle_path: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """An untrained bundle against the shipped one: the exit code is 3 and the pointer stays."""
    registry = tmp_path / "registry"
    promote(bundle_path, registry)
    before = (registry / POINTER_NAME).read_bytes()
    arguments = ["--bundle", str(exported), "--registry", str(registry), "--data", str(labelled_files[1])]
    result = CliRunner().invoke(app, ["promote", *arguments, "--threads", "1"])
    assert isinstance(result.exception, GateRefused)
    assert "banned->safe at safe->banned 2.9%" in str(result.exception)
    assert "FAILS" in result.output
    assert (registry / POINTER_NAME).read_bytes() == before


def test_force_needs_a_reason(exported: Path, tmp_path: Path) -> None:
    """Whoever finds it in the history must not have to guess."""
    arguments = ["promote", "--bundle", str(exported), "--registry", str(tmp_path / "registry"), "--force"]
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Return the files of a fresh key pair."""
    return key_pair(tmp_path)


def test_a_signature_is_of_one_bundle_by_one_key(bundles: list[Path], keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Who can write the registry but holds no key cannot put another bundle into service unseen."""
    private, public = keys
    registry = tmp_path / "registry"
    entry = promote(bundles[0], registry, sign_key=private)
    verify(load_bundle(registry).digest, served_bundle(registry)[1].signature, public)
    with pytest.raises(BundleError, match="not of this digest"):
        verify(load_bundle(bundles[1]).digest, entry.signature, public)
    unsigned = promote(bundles[1], registry)
    with pytest.raises(BundleError, match="not signed"):
        verify(unsigned.digest, unsigned.signature, public)
    with pytest.raises(BundleError, match="not a readable private key"):
        promote(bundles[2], registry, sign_key=public)
    assert _served_version(registry) == "2"


def test_a_bundle_in_service_is_signed_without_another_promotion(
    bundles: list[Path], keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """Workers are to ask for signatures from now on; a rollback must go to the bundle before and not to this one."""
    private, public = keys
    registry = tmp_path / "registry"
    promote(bundles[0], registry, sign_key=private)
    unsigned = promote(bundles[1], registry)
    with pytest.raises(BundleError, match="not signed"):
        load_bundle(registry, public_key=public)
    signed = promote(bundles[1], registry, sign_key=private)
    assert load_bundle(registry, public_key=public).digest == signed.digest == unsigned.digest
    assert (signed.set_at, len(read_registry(registry).history)) == (unsigned.set_at, 1)
    rollback(registry)
    assert load_bundle(registry, public_key=public).manifest.version == "1"
