"""A command that goes wrong leaves one line and an exit code, whatever its clients' threads still wait for."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.process.lifecycle import EXIT_FATAL, EXIT_UNEXPECTED, EXIT_USAGE

_REPOSITORY = Path(__file__).parents[3]
_PROGRAM = """
import threading
from model import BundleError
from worker.errors import Fatal, SettingsError
from worker.process import logs
from worker.process.command_end import errors_end_the_process
logs.configure("info")
threading.Thread(target=threading.Event().wait).start()
with errors_end_the_process("show", BundleError):
    raise {error}
"""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        ('SettingsError("kafka at user:secret@host; expected none")', EXIT_USAGE, "error: settings: kafka at ***@host"),
        ('Fatal("no broker")', EXIT_FATAL, "show_fatal"),
        ('BundleError("no bundle")', EXIT_FATAL, "show_fatal"),
        ('ValueError("a bug")', EXIT_UNEXPECTED, "show_crashed"),
    ],
)
def test_an_error_ends_the_process_at_once_with_its_code(error: str, code: int, line: str) -> None:
    """The thread that never ends would hold back an ordinary exit."""
    program = [sys.executable, "-c", _PROGRAM.format(error=error)]
    done = subprocess.run(program, cwd=_REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert line in done.stderr
    assert "secret" not in done.stderr
