"""Run a command of the project inside the test's process: what it prints and how it exits, with no start of Python."""

import io
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

_PREFIX = "MODERATION_"


class Ended(NamedTuple):
    """A command that has ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_main(
    package: str, *arguments: str | Path | bytes, stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> Ended:
    """Run `python -m PACKAGE` to its end; an exception that it does not catch is the test's.

    Args:
        package: The command.
        arguments: Its arguments.
        stdin: Its input.
        environment: Variables laid over this process's, whose own settings are left out.
    """
    main: Callable[[], None] = import_module(f"{package}.__main__").main
    out, err, given = (io.TextIOWrapper(io.BytesIO(content), encoding="utf-8") for content in (b"", b"", stdin))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(_PREFIX)]:
            patch.delenv(name)
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", [f"python -m {package}", *(os.fsdecode(argument) for argument in arguments)])
        for name, stream in (("stdin", given), ("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Ended(code, _content(out), _content(err))


def _content(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    content: bytes = stream.detach().getvalue()  # type: ignore[attr-defined]
    return content
