"""What the files of a bundle and its policies look like from outside, so that a change is noticed without reading them.

Links are followed: Kubernetes swaps the link `..data` of a ConfigMap, others swap a link to a folder. The inode and the
change time are part of it, so that a file which keeps its size and its modification time is noticed too.
"""

from pathlib import Path
from typing import NamedTuple

from model import BundleError
from model.bundle.registry import POINTER_NAME, is_registry, served_bundle

Seen = tuple[str, int, int, int, int, int] | tuple[str]
"""Path, device, inode, size, modification and change time in ns; the path alone where nothing can be seen."""


class Appearance(NamedTuple):
    """Every file that matters, in a fixed order."""

    bundle: tuple[Seen, ...]
    policies: tuple[Seen, ...]


def appearance(path: Path, policy_path: Path | None, policies_dir: Path | None = None) -> Appearance:
    """Return how bundle and policies look now; never raises.

    Args:
        path: Bundle folder, or a registry's folder or pointer file.
        policy_path: Policy file, or None.
        policies_dir: Folder of more policies, or None.
    """
    # The folder's files themselves, too: what was written into one of them leaves the folder as it was.
    more = () if policies_dir is None else (_see(policies_dir), *_folder(policies_dir))
    return Appearance(_bundle(path), (*_policy(policy_path), *more))


def _bundle(path: Path) -> tuple[Seen, ...]:
    seen: list[Seen] = []
    folder = path
    if is_registry(path):
        seen.append(_see(path if path.name == POINTER_NAME else path / POINTER_NAME))
        try:
            folder = served_bundle(path)[0]
        except (BundleError, OSError):
            # What is wrong with the pointer is said by whoever loads it; a repair changes its appearance.
            return tuple(seen)
    return (*seen, *_folder(folder))


def _policy(path: Path | None) -> tuple[Seen, ...]:
    return () if path is None else (_see(path),)


def _folder(folder: Path) -> tuple[Seen, ...]:
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return ((str(folder),),)
    return tuple(_see(file) for file in files)


def _see(path: Path) -> Seen:
    try:
        found = path.stat()
    except OSError:
        return (str(path),)
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
