"""The Parquet files of an input and what tells them from other files. Needs the parquet extra.

Invariant: the same files give the same list, in the same order, whatever else was asked of the file system.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import basename, relpath
from typing import Any, Final

import pyarrow as pa
from pyarrow import fs, parquet
from pydantic import BaseModel, ConfigDict

from model.backfill.errors import BackfillRefused

SUFFIXES: Final = (".parquet", ".pq")
_MAGIC: Final = b"PAR1"
_TAIL_BYTES: Final = 8
"""The length of the footer, and the magic."""
_BUFFER_BYTES: Final = 1_000_000
"""A column is read in pieces of this size, not whole: row groups may be of any size."""


class InputFile(BaseModel):
    """One file, as runs compare it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Its path from the input's folder; of a lone file its name."""
    n_bytes: int
    n_rows: int
    footer_digest: str
    """Of the Parquet footer: columns, row groups, their places and statistics. Reading whole files would take long."""


@dataclass(frozen=True)
class OpenInput:
    """Files of one input, which can be opened."""

    files: Sequence[InputFile]
    filesystem: Any
    """A `pyarrow.fs.FileSystem`."""
    paths: Sequence[str]
    """In `filesystem`, one for each of `files`."""

    @classmethod
    def of(cls, where: str) -> "OpenInput":
        """List a file, or the Parquet files of a folder and its folders, by name.

        Names that begin with a dot or an underscore are passed over, as Spark does.

        Args:
            where: A local path, or an address that pyarrow's file systems open, such as `s3://bucket/folder`.

        Raises:
            BackfillRefused: there is no such file, or one of them is no Parquet.
        """
        try:
            filesystem, path = fs.FileSystem.from_uri(where) if "://" in where else _local(where)
            paths = _listed(filesystem, path)
            if not paths:
                raise BackfillRefused(
                    f"{where}: found no Parquet file; expected one, or a folder with files that end in "
                    f"{' or '.join(SUFFIXES)}"
                )
            names = [relative_name(one, path) for one in paths]
            files = [_described(filesystem, one, name) for one, name in zip(paths, names, strict=True)]
        except (OSError, pa.ArrowException) as error:
            # Arrow's errors are OSErrors or ValueErrors of its own.
            raise BackfillRefused(
                f"{where}: cannot be read ({error}); expected a Parquet file or a folder of them; check the path and "
                "the credentials"
            ) from error
        return cls(files, filesystem, paths)

    def open(self, number: int) -> parquet.ParquetFile:
        """Open the file of this number; the caller closes it."""
        return parquet.ParquetFile(
            self.filesystem.open_input_file(self.paths[number]), buffer_size=_BUFFER_BYTES, pre_buffer=False
        )

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return sum(file.n_rows for file in self.files)


def relative_name(path: str, source: str) -> str:
    """Return a file's path from the folder that was named as the input; its name where the file itself was named."""
    return relpath(path, source) if path.startswith(f"{source.rstrip('/')}/") else basename(path)


def _local(where: str) -> tuple[Any, str]:
    return fs.LocalFileSystem(), Path(where).absolute().as_posix()


def _listed(filesystem: Any, path: str) -> list[str]:
    info = filesystem.get_file_info(path)
    if info.type is fs.FileType.File:
        return [path]
    if info.type is fs.FileType.NotFound:
        raise FileNotFoundError("no such file or folder")
    found = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    return sorted(one.path for one in found if one.type is fs.FileType.File and _is_data(relpath(one.path, path)))


def _is_data(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not any(part.startswith(("_", ".")) for part in name.split("/"))


def _described(filesystem: Any, path: str, name: str) -> InputFile:
    with filesystem.open_input_file(path) as file:
        n_bytes = file.size()
        tail = file.read_at(_TAIL_BYTES, max(0, n_bytes - _TAIL_BYTES))
        n_footer_bytes = int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or n_footer_bytes + _TAIL_BYTES > n_bytes:
            raise BackfillRefused(
                f"{name}: no Parquet file, or not all of it; expected {_MAGIC.decode()} at its end; write it again, or "
                "take it out of the folder"
            )
        footer = file.read_at(n_footer_bytes, n_bytes - _TAIL_BYTES - n_footer_bytes)
        n_rows = parquet.read_metadata(file).num_rows
    return InputFile(
        name=name, n_bytes=n_bytes, n_rows=n_rows, footer_digest=f"sha256:{hashlib.sha256(footer).hexdigest()}"
    )
