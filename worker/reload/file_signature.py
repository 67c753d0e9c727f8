"""What the files of a bundle and a policy look like from outside, so that a change is noticed without reading them.

Links are followed: Kubernetes swaps the link `..data` of a ConfigMap, others swap a link to a folder. The inode and the
change time are part of it, so that a file which keeps its size and its modification time is noticed too.
"""

from pathlib import Path

from model import BundleError
from model.bundle.registry import POINTER_NAME, is_registry, served_bundle

Seen = tuple[str, int, int, int, int, int] | tuple[str]
"""Path, device, inode, size, modification and change time in ns; the path alone where nothing can be seen."""

Appearance = tuple[Seen, ...]
"""Every file that matters, in a fixed order."""


def appearance(path: Path, policy_path: Path | None) -> Appearance:
    """Return how bundle and policy look now; never raises.

    Args:
        path: Bundle folder, or a registry's folder or pointer file.
        policy_path: Policy file, or None.
    """
    seen: list[Seen] = []
    folder = path
    if is_registry(path):
        seen.append(_see(path if path.name == POINTER_NAME else path / POINTER_NAME))
        try:
            folder = served_bundle(path)[0]
        except (BundleError, OSError):
            # What is wrong with the pointer is said by whoever loads it; a repair changes its appearance.
            return (*seen, *_policy(policy_path))
    return (*seen, *_folder(folder), *_policy(policy_path))


def _policy(path: Path | None) -> Appearance:
    return () if path is None else (_see(path),)


def _folder(folder: Path) -> Appearance:
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
