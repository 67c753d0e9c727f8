"""With a public key only what its private key has signed is loaded, and nothing else is parsed."""

from pathlib import Path

import pytest

from model import BundleError, load_bundle
from model.bundle import signature
from model.bundle.registry import POINTER_NAME
from tests.bundles import key_pair, point_to, registry_of_two, serve


@pytest.fixture
def registry(bundle_path: Path, tmp_path: Path) -> Path:
    """Return a registry of two bundles, of which nothing is signed."""
    registry_of_two(bundle_path, tmp_path / "registry")
    return tmp_path / "registry"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Return the files of a private key and its public key."""
    return key_pair(tmp_path / "keys")


@pytest.mark.parametrize("name", ["", POINTER_NAME])
def test_a_signed_bundle_is_loaded(registry: Path, keys: tuple[Path, Path], name: str) -> None:
    """As without a key."""
    digest = serve(registry, "m/2", sign_key=keys[0])
    assert load_bundle(registry / name, public_key=keys[1]).digest == digest


def test_what_is_not_signed_is_refused_and_without_a_key_nobody_asks(registry: Path, keys: tuple[Path, Path]) -> None:
    """The key makes the difference, not the pointer: else whoever writes the pointer could leave the signature out."""
    with pytest.raises(BundleError, match=r"not signed; expected a signature that .*public\.pem verifies; promote it"):
        load_bundle(registry, public_key=keys[1])
    assert load_bundle(registry).manifest.version == "1.0"


def test_a_signature_by_another_key_is_refused(registry: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Anybody can make a key."""
    serve(registry, "m/2", sign_key=key_pair(tmp_path / "stranger")[0])
    with pytest.raises(BundleError, match=r"not of this digest by the private key of .*public\.pem; expected one"):
        load_bundle(registry, public_key=keys[1])


@pytest.mark.parametrize("garbage", ["", "no base64!", "c2hvcnQ=", "\u2028"])
def test_a_signature_that_is_none_is_refused(registry: Path, keys: tuple[Path, Path], garbage: str) -> None:
    """Found in a file that others can write."""
    digest = serve(registry, "m/2")
    point_to(registry, "m/2", digest, signature=garbage)
    with pytest.raises(BundleError, match="not of this digest"):
        load_bundle(registry, public_key=keys[1])


def test_the_signature_of_one_bundle_does_not_serve_for_another(registry: Path, keys: tuple[Path, Path]) -> None:
    """Neither under the other's digest nor under its own."""
    first = serve(registry, "m/1")
    second = serve(registry, "m/2")
    of_first = signature.sign(first, keys[0])
    point_to(registry, "m/2", second, signature=of_first)
    with pytest.raises(BundleError, match="not of this digest"):
        load_bundle(registry, public_key=keys[1])
    point_to(registry, "m/2", first, signature=of_first)
    with pytest.raises(BundleError, match=r"digest is sha256:.*current\.json says sha256:"):
        load_bundle(registry, public_key=keys[1])


def test_bytes_that_nobody_signed_are_not_parsed(registry: Path, keys: tuple[Path, Path]) -> None:
    """A parser is the first thing that a forged bundle meets."""
    serve(registry, "m/2", sign_key=keys[0])
    (registry / "m" / "2" / "manifest.json").write_bytes(b"{")
    with pytest.raises(BundleError, match=r"current\.json says sha256:"):
        load_bundle(registry, public_key=keys[1])


def test_a_folder_without_a_pointer_holds_no_signature(bundle_path: Path, keys: tuple[Path, Path]) -> None:
    """Else the removal of current.json would do away with the check."""
    with pytest.raises(BundleError, match=r"expected a registry, whose current\.json holds it; promote the bundle"):
        load_bundle(bundle_path, public_key=keys[1])


def test_a_key_that_is_none_is_refused(registry: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """A private key, too: it has no business on a worker."""
    serve(registry, "m/2", sign_key=keys[0])
    for path in (keys[0], tmp_path / "nowhere"):
        with pytest.raises(BundleError, match="not a readable public key"):
            load_bundle(registry, public_key=path)


def test_without_cryptography_a_key_is_refused_and_not_passed_over(
    registry: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be checked is not trusted."""
    serve(registry, "m/2", sign_key=keys[0])
    monkeypatch.setattr(signature, "find_spec", lambda _: None)
    with pytest.raises(BundleError, match=r"cryptography is not installed.*requirements-serving\.lock"):
        load_bundle(registry, public_key=keys[1])
    assert load_bundle(registry).manifest.version == "2.0"
