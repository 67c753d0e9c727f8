"""What a recipe has done: which stage ran on which inputs, with which arguments and code, and what it wrote.

A stage is done where all of these are as they were and its outputs still have their digests. Tools such as DVC do the
same for pipelines of shell commands, and bring a version-control layer that is not needed here.

Invariant: the state of a stage is written after its outputs are complete; a killed stage runs again.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

STATE_NAME: Final = "recipe-state.json"


class StageState(BaseModel):
    """One finished stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arguments: str
    inputs: str
    code: str
    outputs: dict[str, str]
    summary: str

    def what_changed(self, arguments: str, inputs: str, code: str) -> str | None:
        """Return why the stage must run again; None where it need not."""
        pairs = {"arguments": (self.arguments, arguments), "inputs": (self.inputs, inputs), "code": (self.code, code)}
        changed = [name for name, (before, now) in pairs.items() if before != now]
        if changed:
            return f"{' and '.join(changed)} changed"
        missing = [path for path, digest in self.outputs.items() if path_digest(Path(path)) != digest]
        return f"{missing[0]} is gone or was changed" if missing else None


class RecipeState(BaseModel):
    """The state file of a recipe's work folder."""

    model_config = ConfigDict(extra="forbid")

    stages: dict[str, StageState] = {}

    @classmethod
    def read(cls, work: Path) -> "RecipeState":
        """Read the state; an empty one where there is none, or none of this version: then everything runs."""
        try:
            return cls.model_validate_json((work / STATE_NAME).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def write(self, work: Path) -> None:
        """Write the state in one step."""
        part = work / f"{STATE_NAME}.part"
        part.write_bytes(orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n")
        part.replace(work / STATE_NAME)


def arguments_digest(arguments: Any) -> str:
    """Return the digest of a stage's arguments."""
    return _digest(orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS))


def paths_digest(paths: Sequence[Path]) -> str | None:
    """Return the digest of files and folders in order; None where one is missing."""
    found = [path_digest(path) for path in paths]
    return None if None in found else _digest(orjson.dumps(found))


def path_digest(path: Path) -> str | None:
    """Return the digest of a file, or of all files of a folder with their names; None where there is nothing."""
    if path.is_file():
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    if not path.is_dir():
        return None
    files = sorted(inner for inner in path.rglob("*") if inner.is_file())
    return _digest(orjson.dumps([[str(inner.relative_to(path)), path_digest(inner)] for inner in files]))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
