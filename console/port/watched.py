"""A TOML file of entries that is read again when it changes: keys, users.

A new file that cannot be used, an empty one among them, leaves the last good one in force.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from console.errors import SettingsError

_LOOK_EVERY_S: Final = 1.0

log = structlog.get_logger()

_Content = TypeVar("_Content", bound=BaseModel)


@dataclass(frozen=True)
class FileForm(Generic[_Content]):
    """What a file holds, and what is said of one that does not."""

    refused: str
    """Log event: a file cannot be used."""
    taken_over: str
    """Log event: a file has changed and counts."""
    counted: str
    """Its field that says how many entries there are."""
    model: type[_Content]
    expected: str
    """For errors: what the file should hold, and how to make it."""
    remedy: str
    """For the log: how to mend it, and how to take everything back."""
    names: Callable[[_Content], list[str]]
    """Of the entries: the log says which ones are still good."""

    def read(self, path: Path) -> _Content:
        """Read the file.

        Raises:
            SettingsError: it cannot be read or is not understood. The text quotes nothing of the file.
        """
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read ({error.strerror}); {self.expected}") from None
        except ValueError:
            raise SettingsError(f"{path}: not a TOML file in UTF-8; {self.expected}") from None
        try:
            return self.model.model_validate(document)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            )
            raise SettingsError(f"{path}: {faults}; {self.expected}") from None


class WatchedFile(Generic[_Content]):
    """A file as it stands; `look` before each use.

    Args:
        path: The file.
        form: What it holds.
        take: Told the content now, and after each change.
        on_state: Told after each change whether the last good file is still in force instead (1), or not (0).
        clock: Monotonic seconds.

    Raises:
        SettingsError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path,
        form: FileForm[_Content],
        *,
        take: Callable[[_Content], None],
        on_state: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self._form = form
        self._take = take
        self._on_state = on_state
        self._clock = clock
        self._signature = _signature(path)
        self._content = form.read(path)
        self._looked_s = clock()
        take(self._content)

    def look(self) -> None:
        """Take the file over where it has changed; asks the file system once a second."""
        now_s = self._clock()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        signature = _signature(self._path)
        if signature == self._signature:
            return
        self._signature = signature
        try:
            content = self._form.read(self._path)
        except SettingsError as error:
            self._on_state(1)
            still_good = sorted(self._form.names(self._content))
            # The error's text says it all.
            log.error(self._form.refused, error=str(error), still_good=still_good, remedy=self._form.remedy)  # noqa: TRY400
            return
        self._content = content
        self._take(content)
        self._on_state(0)
        log.info(self._form.taken_over, **{self._form.counted: len(self._form.names(content))})


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, links followed; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
