"""A registry folder: promoted bundles side by side, and one pointer file that says which of them is served.

    REGISTRY/current.json                     replaced in one step; holds the history for a rollback
    REGISTRY/NAME/VERSION-<12 digits>/…       bundles, never changed once written

The pointer is a file and not a link, because links are refused. It carries the digest of the bundle, so a folder that
was swapped under its name is refused too.

Invariant: a reader sees either the old or the new pointer, and whichever it sees names a complete bundle.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from model.bundle.documents import parse_document
from model.bundle.files import read_regular
from model.bundle.manifest import Sha256
from model.errors import BundleError

POINTER_NAME: Final = "current.json"

_Part = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
BundleLocation = Annotated[str, StringConstraints(pattern=rf"^{_Part}/{_Part}$")]


class RegistryEntry(BaseModel):
    """One bundle that is or was served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: BundleLocation = Field(description="Folder of the bundle, relative to the registry.")
    digest: Sha256
    set_at: datetime = Field(description="When the pointer was set to this bundle, with a zone.")
    action: Literal["promote", "rollback"] = "promote"
    reason: str | None = Field(default=None, description="Why it was forced, or rolled back.")
    gate: dict[str, Any] | None = Field(default=None, description="What the gate found, as `promote` printed it.")
    signature: str | None = Field(default=None, description="Ed25519 over the digest's text, base64.")


class Registry(BaseModel):
    """The pointer file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    current: RegistryEntry
    history: list[RegistryEntry] = Field(default=[], description="What was served before, oldest first.")


def is_registry(path: Path) -> bool:
    """Tell a registry (its folder or its pointer file) from a bundle folder."""
    try:
        return path.name == POINTER_NAME or (path / POINTER_NAME).exists()
    except OSError:
        # A folder that may not be searched: whoever reads the bundle says so.
        return False


def read_registry(path: Path) -> Registry:
    """Read the pointer of a registry.

    Args:
        path: The registry's folder, or the pointer file in it.

    Raises:
        BundleError: it cannot be read, is a link, or is not understood.
    """
    pointer = path if path.name == POINTER_NAME else path / POINTER_NAME
    try:
        if pointer.is_symlink():
            raise BundleError(f"{pointer}: is a link; expected a regular file, as `promote` writes it")
        return parse_document(Registry, read_regular(pointer))
    except OSError as error:
        raise BundleError(
            f"{pointer}: cannot be read ({error.strerror}); expected the folder that "
            "`python -m training_pipeline promote --registry` wrote"
        ) from error
    except ValueError as error:
        raise BundleError(f"{pointer}: not a pointer this version understands: {error}; promote again") from error


def served_bundle(path: Path) -> tuple[Path, RegistryEntry]:
    """Return the folder of the bundle that a registry serves, and its entry; the digest is the caller's to check.

    Raises:
        BundleError: the pointer is refused, or a part of the bundle's path is a link.
    """
    root = path.parent if path.name == POINTER_NAME else path
    entry = read_registry(path).current
    folder = root / entry.location
    for part in (folder.parent, folder):
        try:
            is_link = part.is_symlink()
        except OSError as error:
            raise BundleError(
                f"{part}: cannot be looked at ({error.strerror}); check the mount and its rights"
            ) from error
        if is_link:
            raise BundleError(f"{part}: is a link; expected a folder that `promote` wrote")
    return folder, entry
