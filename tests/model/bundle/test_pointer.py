"""A registry serves an earlier bundle again: back without a gate, forth with the gate that it records."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from model import BundleError, load_bundle
from model.bundle.pointer import gate_refusal, in_effect, rollback, serve_again, step_to, write_pointer
from model.bundle.registry import POINTER_NAME, Registry, RegistryEntry, read_registry
from model.bundle.signature import sign
from tests.bundles import bundle_variant, key_pair

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
PASSED: dict[str, Any] = {"passes": True, "against": A}


def entry(digest: str, location: str = "m/1", **fields: Any) -> RegistryEntry:
    """Return an entry of a history."""
    return RegistryEntry(location=location, digest=digest, set_at=datetime(2026, 11, 1, tzinfo=UTC), **fields)


@pytest.fixture
def registry(bundle_path: Path, tmp_path: Path) -> Callable[..., tuple[Path, str, str]]:
    """Return a function that makes a registry of two bundles: the first was served, and the second is."""

    def make(gate: dict[str, Any] | None = None, *, sign_key: Path | None = None) -> tuple[Path, str, str]:
        root = tmp_path / "registry"
        digests = []
        for version in ("1", "2"):
            bundle_variant(bundle_path, root / "m" / version, version=version)
            digests.append(load_bundle(root / "m" / version).digest)
        signatures = [None if sign_key is None else sign(digest, sign_key) for digest in digests]
        gated = None if gate is None else {"against": digests[0], **gate}
        content = Registry(
            current=entry(digests[1], "m/2", gate=gated, signature=signatures[1]),
            history=[entry(digests[0], "m/1", signature=signatures[0])],
        )
        write_pointer(root, content)
        return root, digests[0], digests[1]

    return make


def test_what_serving_again_means_follows_from_the_history() -> None:
    """Back to what is still in effect; forth to what a rollback has undone."""
    served = Registry(current=entry(C), history=[entry(A), entry(B)])
    assert [step_to(served, digest) for digest in (A, B, C, f"sha256:{'d' * 64}")] == [
        "rollback",
        "rollback",
        None,
        None,
    ]
    back = Registry(current=entry(A, action="rollback"), history=[entry(A), entry(B), entry(C)])
    assert [step_to(back, digest) for digest in (A, B, C)] == [None, "promote", "promote"]
    assert [one.digest for one in in_effect([*back.history, back.current])] == [A]


@pytest.mark.parametrize(
    ("gate", "refusal"),
    [
        (PASSED, None),
        (None, "records no gate"),
        ({"passes": False, "against": A}, "did not pass"),
        ({"against": A}, "did not pass"),
        ({"passes": True, "against": C}, "compared it with sha256:cccccccccccc"),
    ],
)
def test_forth_goes_what_passed_a_gate_against_what_is_served(gate: dict[str, Any] | None, refusal: str | None) -> None:
    """A gate against another bundle says nothing of this one."""
    known = Registry(current=entry(A, action="rollback"), history=[entry(A), entry(B, gate=gate)])
    found = gate_refusal(known, B)
    assert (found is None) if refusal is None else (refusal in str(found))


def test_back_and_forth(registry: Callable[..., tuple[Path, str, str]]) -> None:
    """Each step is in the history, with its reason; the gate goes along."""
    root, first, second = registry({"passes": True})
    serve_again(root, first, reason="too many blocks", expected_current=second)
    assert load_bundle(root).digest == first
    serve_again(root, second, reason="it was the policy", expected_current=first)
    assert load_bundle(root).digest == second
    found = read_registry(root)
    assert [(one.action, one.reason) for one in [*found.history[2:], found.current]] == [
        ("rollback", "too many blocks"),
        ("promote", "it was the policy"),
    ]
    assert found.current.gate == {"passes": True, "against": first}
    assert rollback(root).digest == first


def test_what_is_refused_changes_nothing(registry: Callable[..., tuple[Path, str, str]], tmp_path: Path) -> None:
    """Somebody else was first, an unknown bundle, a missing gate, a bundle that is damaged."""
    root, first, second = registry()
    before = (root / POINTER_NAME).read_bytes()
    with pytest.raises(BundleError, match="look again"):
        serve_again(root, first, reason="r", expected_current=first)
    for digest in (second, C):
        with pytest.raises(BundleError, match="is served, or never was"):
            serve_again(root, digest, reason="r", expected_current=second)
    assert (root / POINTER_NAME).read_bytes() == before
    serve_again(root, first, reason="r", expected_current=second)
    with pytest.raises(BundleError, match="records no gate"):
        serve_again(root, second, reason="r", expected_current=first)
    with pytest.raises(BundleError, match="no such folder"):
        serve_again(tmp_path / "none", first, reason="r", expected_current=second)


def test_a_damaged_bundle_is_not_served_again(registry: Callable[..., tuple[Path, str, str]]) -> None:
    """It is read back before the pointer is set."""
    root, first, second = registry()
    (root / "m" / "1" / "MODEL_CARD.md").write_text("other")
    with pytest.raises(BundleError, match="digest is"):
        serve_again(root, first, reason="r", expected_current=second)
    assert read_registry(root).current.digest == second


def test_signatures_go_along_and_are_asked_for(registry: Callable[..., tuple[Path, str, str]], tmp_path: Path) -> None:
    """A bundle of a signed registry needs its own; a key that did not sign it refuses it."""
    private, public = key_pair(tmp_path)
    (tmp_path / "other").mkdir()
    _, other = key_pair(tmp_path / "other")
    root, first, second = registry(sign_key=private)
    with pytest.raises(BundleError, match="signature is not of this digest"):
        serve_again(root, first, reason="r", expected_current=second, public_key=other)
    found = serve_again(root, first, reason="r", expected_current=second, public_key=public)
    assert load_bundle(root, public_key=public).digest == found.digest == first
    known = read_registry(root)
    unsigned = known.model_copy(
        update={
            "history": [
                one.model_copy(update={"signature": None, "gate": {"passes": True, "against": first}})
                for one in known.history
            ]
        }
    )
    write_pointer(root, unsigned)
    with pytest.raises(BundleError, match="--sign-key"):
        serve_again(root, second, reason="r", expected_current=first)


def test_another_writer_is_waited_for(
    registry: Callable[..., tuple[Path, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not without end."""
    monkeypatch.setattr("model.bundle.pointer._WAITS_S", 0.05)
    root, first, second = registry()
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with FileLock(root / ".lock"):
            held.set()
            free.wait(30)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(30)
    with pytest.raises(BundleError, match="somebody else"):
        serve_again(root, first, reason="r", expected_current=second)
    free.set()
    other.join()
    serve_again(root, first, reason="r", expected_current=second)
