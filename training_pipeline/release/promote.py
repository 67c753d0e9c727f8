"""Put a bundle into the registry that workers read; `model.bundle.pointer` takes it back.

Invariant: the pointer is replaced only after the bundle it names was copied, read back and verified; bundles are only
ever added to.
"""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from model.bundle.bundle import Bundle, load_bundle
from model.bundle.manifest import MANIFEST_NAME
from model.bundle.pointer import locked, point_to, sync_folder, write_durably, write_pointer
from model.bundle.registry import POINTER_NAME, RegistryEntry, read_registry
from model.bundle.signature import sign
from model.errors import BundleError

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
    with locked(registry):
        known = read_registry(registry) if (registry / POINTER_NAME).exists() else None
        signature = None if sign_key is None else sign(loaded.digest, sign_key)
        if known is not None and known.current.digest == loaded.digest:
            if signature in (None, known.current.signature):
                return known.current
            entry = known.current.model_copy(update={"signature": signature})
            write_pointer(registry, known.model_copy(update={"current": entry}))
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
        point_to(registry, entry, known)
    return entry


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
            write_durably(staging / file, (bundle / file).read_bytes())
        _refuse_other(staging, loaded.digest)
        staging.rename(target)
        sync_folder(target.parent)
    _refuse_other(target, loaded.digest)
    return f"{name}/{version}"


def _refuse_other(folder: Path, digest: str) -> None:
    found = load_bundle(folder).digest
    if found != digest:
        raise BundleError(
            f"{folder}: digest is {found[:19]}, expected {digest[:19]}; remove that folder and promote again"
        )
