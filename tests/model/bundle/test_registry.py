"""A registry serves exactly the bundle its pointer names, or nothing."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from model import Bundle, BundleError, load_bundle
from model.bundle.registry import POINTER_NAME, Registry, RegistryEntry

_LOCATION = "tiny/1.0-abc"


@pytest.fixture
def registry(bundle: Bundle, bundle_path: Path, tmp_path: Path) -> Path:
    """Return a registry that serves a copy of the shipped bundle."""
    shutil.copytree(bundle_path, tmp_path / _LOCATION)
    entry = RegistryEntry(location=_LOCATION, digest=bundle.digest, set_at=datetime.now(UTC))
    (tmp_path / POINTER_NAME).write_text(Registry(current=entry).model_dump_json())
    return tmp_path


def _change(registry: Path, old: str, new: str) -> None:
    pointer = registry / POINTER_NAME
    text = pointer.read_text()
    assert old in text
    pointer.write_text(text.replace(old, new))


@pytest.mark.parametrize("name", ["", POINTER_NAME])
def test_a_worker_may_name_the_registry_or_its_pointer_instead_of_a_bundle(
    registry: Path, bundle: Bundle, name: str
) -> None:
    """MODERATION_MODEL__PATH stays the same from promotion to promotion."""
    assert load_bundle(registry / name).ref == bundle.ref


def test_a_bundle_swapped_under_its_name_is_refused(registry: Path) -> None:
    """Its own digests would all be right; only the pointer knows which bundle was promoted."""
    manifest = registry / _LOCATION / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    with pytest.raises(BundleError, match=r"digest is sha256:.*current.json says sha256:.*promote it again"):
        load_bundle(registry)


@pytest.mark.parametrize("location", ["../tiny", "tiny/..", "/etc/passwd", "tiny", "a/b/c", "tiny/1.0 abc"])
def test_a_pointer_that_leads_out_of_the_registry_is_refused(registry: Path, location: str) -> None:
    """Whoever can write the pointer must not be able to name any folder of the machine."""
    _change(registry, _LOCATION, location)
    with pytest.raises(BundleError, match="not a pointer this version understands"):
        load_bundle(registry)


def test_a_pointer_with_an_unknown_field_or_version_is_refused(registry: Path) -> None:
    """A later format may mean something that this version would get wrong."""
    _change(registry, '"format_version":1', '"format_version":2')
    with pytest.raises(BundleError, match="not a pointer this version understands"):
        load_bundle(registry)


@pytest.mark.parametrize("linked", [POINTER_NAME, "tiny", _LOCATION])
def test_links_in_a_registry_are_refused(registry: Path, linked: str) -> None:
    """As in a bundle: what a link shows can change after it was checked."""
    path = registry / linked
    moved = registry / "moved"
    path.rename(moved)
    path.symlink_to(moved)
    with pytest.raises(BundleError, match="is a link"):
        load_bundle(registry)


def test_a_bundle_that_is_gone_is_refused_with_its_path(registry: Path) -> None:
    """A half-copied volume must not start a worker."""
    shutil.rmtree(registry / _LOCATION)
    with pytest.raises(BundleError, match=r"1.0-abc.*cannot be read"):
        load_bundle(registry)
