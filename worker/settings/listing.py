"""All settings as a list: for people, for programs, and as a file to begin with.

Every name stands whole on its line, whatever the window is: names and values are copied from here.
"""

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel, SecretStr

from schemas.file_faults import Key
from worker.process.masking import masked
from worker.settings.source import field_of, setting_keys, variable
from worker.settings.worker import WorkerSettings

_SECRET: Final = "(secret)"  # noqa: S105  what stands in the place of one
_INDENT: Final = "    "
_COLUMNS: Final = 120
_ADDRESS: Final = "localhost:9092"


@dataclass(frozen=True)
class Listed:
    """One setting."""

    name: str
    """The environment variable."""
    key: str
    """In a file: `kafka.group_id` is `group_id` under `[kafka]`."""
    value: str | float | None
    """None where it is not set; where all are refused, the default. A secret is masked."""
    default: str | float | None
    is_secret: bool
    meaning: str


def listed(settings: WorkerSettings | None) -> list[Listed]:
    """Return every setting.

    Args:
        settings: What was read; None where it was refused.
    """
    return [_listed(key, settings) for key in setting_keys()]


def as_text(settings: Sequence[Listed]) -> str:
    """Return one line for each setting and its value, with the meaning under it."""
    lines: list[str] = []
    for setting in settings:
        lines.append(f"{setting.name} = {_shown(setting.value)}")
        lines.extend(_wrapped(setting.meaning, _INDENT))
    return "\n".join(lines) + "\n"


def as_json(settings: Sequence[Listed]) -> list[dict[str, Any]]:
    """Return the same for programs."""
    return [asdict(setting) for setting in settings]


def example_file() -> str:
    """Return a TOML file that can be used at once: every setting with its meaning, commented out at its default."""
    lines = [
        "# Settings of the worker: python -m worker run --config worker.toml",
        "# A line that begins with # shows a default. Empty text means: not set. An environment variable wins over",
        "# this file; check-config names them all.",
        "",
    ]
    section = ""
    # Of a TOML file, what stands under no section comes first.
    for key in sorted(setting_keys(), key=len):
        if len(key) > 1 and key[0] != section:
            section = key[0]
            lines += [f"[{section}]"]
        setting = _listed(key, None)
        lines += _wrapped(setting.meaning, "# ")
        is_needed = field_of(key).is_required()
        value = json.dumps(_ADDRESS if is_needed else "" if setting.default is None else setting.default)
        lines += [f"{'' if is_needed else '# '}{key[-1]} = {value}", ""]
    return "\n".join(lines)


def _listed(key: Key, settings: WorkerSettings | None) -> Listed:
    field = field_of(key)
    is_secret = SecretStr in (field.annotation, *get_args(field.annotation))
    default = None if field.is_required() else _plain(field.get_default(call_default_factory=True))
    # The default path of a bundle is another one on every machine.
    if isinstance(field.default, Path):
        default = None
    value = default if settings is None else _plain(_value(key, settings))
    return Listed(variable(key), ".".join(key), value, default, is_secret, field.description or "")


def _value(key: Key, settings: BaseModel) -> Any:
    value: Any = settings
    for name in key:
        value = getattr(value, name)
    return value


def _plain(value: Any) -> str | float | None:
    if isinstance(value, SecretStr):
        return _SECRET
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, int | float):
        return value
    # A path or an address may hold what belongs into a secret.
    return masked(str(value))


def _shown(value: str | float | None) -> str:
    return "-" if value is None or value == "" else str(value)


def _wrapped(text: str, indent: str) -> Iterator[str]:
    # A name is never broken: it is searched for.
    yield from textwrap.wrap(
        text, _COLUMNS, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
