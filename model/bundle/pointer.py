"""Write a registry's pointer: serve an earlier bundle again, in one step and after its checks.

Invariant: the pointer is replaced in one step, and only after the bundle it names was read back and verified; the
history is only ever added to. A program that copies new bundles into a registry points to them by the same functions.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from filelock import FileLock, Timeout

from model.bundle.bundle import load_bundle
from model.bundle.registry import POINTER_NAME, Registry, RegistryEntry, read_registry
from model.bundle.signature import verify
from model.errors import BundleError

Step = Literal["promote", "rollback"]

_LOCK_NAME: Final = ".lock"
_WAITS_S: Final = 3.0
"""For another writer: whoever serves a bundle again may hold a database's lock meanwhile."""


def rollback(registry: Path, *, to: str | None = None, reason: str | None = None) -> RegistryEntry:
    """Serve an earlier bundle again.

    Args:
        registry: Folder of the registry.
        to: Start of the digest, with or without `sha256:`; the bundle served before the current one where None.
        reason: Why, for the record.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
    """
    with locked(registry):
        known = read_registry(registry)
        target = _previous(known, registry) if to is None else _named(known, to)
        return _serve(registry, known, target, "rollback", reason)


def serve_again(
    registry: Path, digest: str, *, reason: str, expected_current: str, public_key: Path | None = None
) -> RegistryEntry:
    """Serve a bundle that the registry has served before: back to one, or forth again to one that was rolled back.

    Forth goes only what passed a gate against the very bundle that is served now, as the registry records it.

    Args:
        registry: Folder of the registry.
        digest: Of the bundle.
        reason: Why, for the record.
        expected_current: Digest of the bundle that is served, as whoever asks has seen it.
        public_key: Ed25519 key, PEM, that the bundle's signature must satisfy; None asks for none.

    Raises:
        BundleError: another bundle is served by now, the registry never served that one, its gate or its signature is
            refused, it is damaged, or somebody else writes to the registry.
        OSError: the registry cannot be written.
    """
    with locked(registry, waits_s=_WAITS_S):
        known = read_registry(registry)
        if known.current.digest != expected_current:
            raise BundleError(
                f"{registry}: serves {known.current.digest[:19]} by now, not {expected_current[:19]}; look again"
            )
        step = step_to(known, digest)
        if step is None:
            raise BundleError(f"{digest[:19]}: is served, or never was; expected an earlier bundle of {registry}")
        if step == "promote" and (why := gate_refusal(known, digest)) is not None:
            raise BundleError(f"{digest[:19]}: {why}")
        target = _newest(known, digest)
        _check_signature(target, known, public_key)
        return _serve(registry, known, target, step, reason)


def step_to(known: Registry, digest: str) -> Step | None:
    """Return what serving a bundle again would be; None where it is served, or never was.

    A rollback goes to what is still in effect below the current bundle, a promotion to what a rollback has undone.
    """
    if digest == known.current.digest or all(entry.digest != digest for entry in known.history):
        return None
    before = in_effect([*known.history, known.current])[:-1]
    return "rollback" if any(entry.digest == digest for entry in before) else "promote"


def gate_refusal(known: Registry, digest: str) -> str | None:
    """Return why the registry's record does not let a bundle be promoted again; None where it does."""
    entry = _newest(known, digest)
    remedy = "run its gate again: `python -m training_pipeline promote --bundle … --registry … --data …`"
    if entry.gate is None:
        return f"the registry records no gate for it; {remedy}"
    if entry.gate.get("passes") is not True:
        return f"its gate did not pass; {remedy}"
    against = str(entry.gate.get("against"))
    if against != known.current.digest:
        return (
            f"its gate compared it with {against[:19]}, and {known.current.digest[:19]} is served now; expected a gate "
            f"against that one; {remedy}"
        )
    return None


def in_effect(entries: Sequence[RegistryEntry]) -> list[RegistryEntry]:
    """Return the promotions that no rollback has undone, oldest first; the last is served.

    A rollback undoes what came after its bundle, so that a second one goes further back and not forth again.
    """
    stack: list[RegistryEntry] = []
    for entry in entries:
        places = [i for i, earlier in enumerate(stack) if earlier.digest == entry.digest]
        if entry.action == "rollback" and places:
            del stack[places[-1] :]
        stack.append(entry)
    return stack


def point_to(registry: Path, entry: RegistryEntry, known: Registry | None) -> None:
    """Serve an entry's bundle, within `locked`; what was served goes into the history."""
    history = [] if known is None else [*known.history, known.current]
    write_pointer(registry, Registry(current=entry, history=history))


def write_pointer(registry: Path, content: Registry) -> None:
    """Replace the pointer in one step, within `locked`."""
    document = content.model_dump_json(indent=2, exclude_none=True)
    pointer = registry / POINTER_NAME
    part = pointer.with_name(f"{POINTER_NAME}.part")
    write_durably(part, document.encode() + b"\n")
    part.replace(pointer)
    sync_folder(registry)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that survives a power cut, once its folder is on disk too."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's entries to disk: a renamed one survives a power cut only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(registry: Path, *, waits_s: float = -1.0) -> Iterator[None]:
    """Let one writer at a time change the pointer; readers need no lock.

    Args:
        registry: Folder of the registry.
        waits_s: Longest wait for another writer; below 0: until it is through.

    Raises:
        BundleError: there is no such folder, or another writer is at work for longer.
    """
    if not registry.is_dir():
        raise BundleError(f"{registry}: no such folder; expected a registry that `promote` wrote")
    try:
        with FileLock(registry / _LOCK_NAME, timeout=waits_s):
            yield
    except Timeout:
        raise BundleError(
            f"{registry}: somebody else has been writing to it for {waits_s:.0f} s; expected a free lock; try again"
        ) from None


def _serve(registry: Path, known: Registry, target: RegistryEntry, step: Step, reason: str | None) -> RegistryEntry:
    found = load_bundle(registry / target.location)
    if found.digest != target.digest:
        raise BundleError(
            f"{registry / target.location}: digest is {found.digest[:19]}, the history says "
            f"{target.digest[:19]}; name another bundle with --to"
        )
    changed: dict[str, Any] = {"set_at": datetime.now(UTC), "action": step, "reason": reason}
    entry = target.model_copy(update=changed)
    point_to(registry, entry, known)
    return entry


def _check_signature(target: RegistryEntry, known: Registry, public_key: Path | None) -> None:
    if public_key is not None:
        verify(target.digest, target.signature, public_key)
    elif known.current.signature is not None and target.signature is None:
        raise BundleError(
            f"{target.digest[:19]}: not signed, and the registry's bundles are; expected a signature; sign it: "
            "`python -m training_pipeline promote --sign-key KEY --bundle … --registry …`"
        )


def _newest(known: Registry, digest: str) -> RegistryEntry:
    """Return the newest entry of a bundle, with the gate of the newest that has one."""
    entries = [entry for entry in [*known.history, known.current] if entry.digest == digest]
    gates = [entry.gate for entry in entries if entry.gate is not None]
    return entries[-1].model_copy(update={"gate": gates[-1] if gates else None})


def _previous(known: Registry, registry: Path) -> RegistryEntry:
    stack = in_effect([*known.history, known.current])
    if len(stack) < 2:  # noqa: PLR2004  the served one and one before it
        raise BundleError(f"{registry}: no bundle was served before {known.current.location}; promote another one")
    return stack[-2]


def _named(known: Registry, digest: str) -> RegistryEntry:
    start = digest if digest.startswith("sha256:") else f"sha256:{digest}"
    found = {entry.digest: entry for entry in [*known.history, known.current] if entry.digest.startswith(start)}
    if len(found) != 1:
        served = ", ".join(sorted({entry.digest[:19] for entry in known.history}))
        raise BundleError(f"--to {digest}: names {len(found)} bundles; expected one of {served or 'none'}")
    return next(iter(found.values()))
