"""Read the files of a bundle or of the frozen encoder: each once, never through a link, checked by its digest."""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from model.errors import BundleError


def sha256_of(content: bytes) -> str:
    """Return `sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def read_regular(path: Path) -> bytes:
    """Return a file's contents; never waits for a writer, as the opening of a named pipe would.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    # Without O_NONBLOCK the opening itself waits. Regular files do not know it.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file", str(path))
        return file.read()


def read_file(folder: Path, name: str, remedy: str) -> bytes:
    """Return a file's contents.

    Raises:
        BundleError: it is missing, unreadable, a link or no regular file.
    """
    path = folder / name
    try:
        if path.is_symlink():
            raise BundleError(f"{path}: is a link; expected a regular file; copy the file into its folder")
        return read_regular(path)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error


def verified_file(folder: Path, name: str, expected: str, remedy: str) -> bytes:
    """Return a file's contents, which must have the digest that manifest.json says.

    Raises:
        BundleError: it has another digest, or cannot be read.
    """
    content = read_file(folder, name, remedy)
    found = sha256_of(content)
    if found != expected:
        raise BundleError(f"{folder / name}: digest is {found[:19]}, manifest.json says {expected[:19]}; {remedy}")
    return content


def write_folder(folder: Path, contents: Mapping[str, bytes], *, marker: str) -> None:
    """Write files as a folder, in place of an earlier one of the kind; it is there whole or not at all.

    Args:
        folder: What to write.
        contents: By name.
        marker: A file that every folder of the kind has: one without it is not replaced.

    Raises:
        BundleError: there is something else, or the folder cannot be written.
    """
    if folder.exists() and not (folder / marker).is_file() and not (folder.is_dir() and not any(folder.iterdir())):
        raise BundleError(
            f"{folder}: is there and holds no {marker}; expected nothing or a bundle; name another folder"
        )
    staging = folder.with_name(f".{folder.name}.staging")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        for name, content in contents.items():
            (staging / name).write_bytes(content)
        if folder.exists():
            shutil.rmtree(folder)
        staging.rename(folder)
    except OSError as error:
        raise BundleError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
