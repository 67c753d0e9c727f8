"""The code of the release before, out of the repository's own history, to be run beside this one."""

import subprocess
from pathlib import Path
from typing import Final

from tests.integration.workers import REPOSITORY

EARLIER: Final = "34c5b583a3f0ba8709a533f4025708a570a72c5e"
"""The last commit before verdicts were decided by several policies, holds and people; raise it with each release."""
_SERVES: Final = ("schemas", "model", "worker", ":(exclude)model/bundles")


def earlier_release(folder: Path) -> Path:
    """Unpack what a worker of the earlier release consists of, without its bundle, and return where it stands.

    Raises:
        AssertionError: the history does not reach back so far.
    """
    there = _git("cat-file", "-e", f"{EARLIER}^{{commit}}")
    assert there.returncode == 0, (
        f"commit {EARLIER} is not in this clone, which is a shallow one, or none; expected the history back to "
        "the release before; run `git fetch --unshallow`, or clone without --depth"
    )
    packed = _git("archive", "--format=tar", EARLIER, "--", *_SERVES)
    assert packed.returncode == 0, packed.stderr.decode()
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True, timeout=60)
    return folder


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, timeout=60, check=False)
