"""Put a bundle into the registry that workers read, and take it back.

Invariant: the pointer is replaced in one step, and only after the bundle it names was copied, read back and verified;
bundles and history are only ever added to.
"""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from model.bundle.bundle import Bundle, load_bundle
from model.bundle.manifest import MANIFEST_NAME
from model.bundle.registry import POINTER_NAME, Registry, RegistryEntry, read_registry
from model.bundle.signature import sign
from model.errors import BundleError

_LOCK_NAME: Final = ".lock"
_DIGEST_DIGITS: Final = 12
_USABLE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


def promote(
    bundle: Path,
    registry: Path,
    *,
    reason: str | None = None,
    gate: dict[str, Any] | None = None,
    sign_key: Path | None = None,
) -> RegistryEntry:
    """Copy a bundle into a registry and make it the one that is served.

    A bundle that is served already is left as it is, but gets the signature that is asked for.

    Args:
        bundle: Folder of the bundle.
        registry: Folder of the registry; made where it is missing.
        reason: Why the gate was overruled, if it was.
        gate: What the gate found, for the record.
        sign_key: Ed25519 private key that signs the digest.

    Raises:
        BundleError: the bundle is refused, before or after the copy.
    """
    loaded = load_bundle(bundle)
    registry.mkdir(parents=True, exist_ok=True)
    with _locked(registry):
        known = read_registry(registry) if (registry / POINTER_NAME).exists() else None
        signature = None if sign_key is None else sign(loaded.digest, sign_key)
        if known is not None and known.current.digest == loaded.digest:
            if signature in (None, known.current.signature):
                return known.current
            entry = known.current.model_copy(update={"signature": signature})
            _write_pointer(registry, known.model_copy(update={"current": entry}))
            return entry
        location = _store(bundle, loaded, registry)
        entry = RegistryEntry(
            location=location,
            digest=loaded.digest,
            set_at=datetime.now(UTC),
            reason=reason,
            gate=gate,
            signature=signature,
        )
        _point_to(registry, entry, known)
    return entry


def rollback(registry: Path, *, to: str | None = None, reason: str | None = None) -> RegistryEntry:
    """Serve an earlier bundle again.

    Args:
        registry: Folder of the registry.
        to: Start of the digest, with or without `sha256:`; the bundle served before the current one where None.
        reason: Why, for the record.

    Raises:
        BundleError: there is no such bundle, or it is damaged.
    """
    with _locked(registry):
        known = read_registry(registry)
        target = _previous(known, registry) if to is None else _named(known, to)
        found = load_bundle(registry / target.location)
        if found.digest != target.digest:
            raise BundleError(
                f"{registry / target.location}: digest is {found.digest[:19]}, the history says "
                f"{target.digest[:19]}; name another bundle with --to"
            )
        entry = target.model_copy(update={"set_at": datetime.now(UTC), "action": "rollback", "reason": reason})
        _point_to(registry, entry, known)
    return entry


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


def _store(bundle: Path, loaded: Bundle, registry: Path) -> str:
    """Copy a bundle under its own name, read it back, and return its location."""
    name = loaded.manifest.name
    if not _USABLE_NAME.fullmatch(name):
        raise BundleError(
            f"{bundle}: is named {name!r}; expected letters, digits, . _ and -, since a folder is named after it; "
            "export it under another --name"
        )
    version = f"{loaded.manifest.version}-{loaded.digest.removeprefix('sha256:')[:_DIGEST_DIGITS]}"
    target = registry / name / version
    if not target.exists():
        staging = target.with_name(f".{version}.staging")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        for file in (*sorted(loaded.manifest.files), MANIFEST_NAME):
            _write_durably(staging / file, (bundle / file).read_bytes())
        _refuse_other(staging, loaded.digest)
        staging.rename(target)
        _sync_folder(target.parent)
    _refuse_other(target, loaded.digest)
    return f"{name}/{version}"


def _refuse_other(folder: Path, digest: str) -> None:
    found = load_bundle(folder).digest
    if found != digest:
        raise BundleError(
            f"{folder}: digest is {found[:19]}, expected {digest[:19]}; remove that folder and promote again"
        )


def _point_to(registry: Path, entry: RegistryEntry, known: Registry | None) -> None:
    history = [] if known is None else [*known.history, known.current]
    _write_pointer(registry, Registry(current=entry, history=history))


def _write_pointer(registry: Path, content: Registry) -> None:
    document = content.model_dump_json(indent=2, exclude_none=True)
    pointer = registry / POINTER_NAME
    part = pointer.with_name(f"{POINTER_NAME}.part")
    _write_durably(part, document.encode() + b"\n")
    part.replace(pointer)
    _sync_folder(registry)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # A renamed entry survives a power cut only once its folder is on disk.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(registry: Path) -> Iterator[None]:
    """Let one writer at a time change the pointer; readers need no lock."""
    if not registry.is_dir():
        raise BundleError(f"{registry}: no such folder; expected a registry that `promote` wrote")
    with FileLock(registry / _LOCK_NAME):
        yield
