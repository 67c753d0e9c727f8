"""Which code decides what a stage writes: its first modules and all of ours that they import.

Found in the import statements, so no list has to be kept by hand. Imports inside functions count too; what is imported
for types alone counts as well, which at worst runs a stage once more.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import grimp

from model.bundle.files import sha256_of


def with_imports(modules: Sequence[str]) -> tuple[str, ...]:
    """Return these modules and all modules of this project that they import, directly or not, sorted.

    Raises:
        ValueError: a module is not there, or is a folder, which imports nothing.
    """
    graph = _imports()
    folders = sorted(module for module in set(modules) & graph.modules if graph.find_children(module))
    if folders:
        raise ValueError(f"{', '.join(folders)}: a folder; expected the module in which the stage's code begins")
    missing = sorted(set(modules) - graph.modules)
    if missing:
        raise ValueError(f"{', '.join(missing)}: no such module; correct where the stage's code begins")
    return tuple(sorted({*modules, *(found for module in modules for found in graph.find_upstream_modules(module))}))


def code_digest(modules: Sequence[str]) -> str:
    """Return the digest of these modules' names and source files."""
    return sha256_of(b"\0".join(name.encode() + b"\0" + _source(name) for name in modules))


@cache
def _imports() -> grimp.ImportGraph:
    # Without its cache, which would be a folder in the user's working directory.
    return grimp.build_graph("training_pipeline", "model", "schemas", cache_dir=None)


def _source(name: str) -> bytes:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ValueError(f"{name}: no such module; correct where the stage's code begins")
    return Path(spec.origin).read_bytes()
