"""What the Makefile says and refuses before it installs anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.command_help import commands

_ROOT = Path(__file__).parents[1]
_INTERNAL = {
    "deploy.local.watchdog",
    "loadtest.peers.in_process",
    "loadtest.peers.one_by_one",
    "tests.architecture",
    "tests.console.intake.reading",
    "tests.console.pages.picture",
    "tests.console.pages.review.picture",
    "training_pipeline.graph.reference_graph",
}
"""Started by other commands, or by a make target."""


@pytest.fixture
def make(tmp_path: Path) -> object:
    """Return a function that runs make where there is nothing but the Makefile, with a Python that must not run."""
    shutil.copy(_ROOT / "Makefile", tmp_path)
    for lock in _ROOT.glob("requirements*.lock"):
        (tmp_path / lock.name).touch()

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["make", "PYTHON=no-python", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)

    return run


def test_training_the_default_bundle_asks_for_its_files_before_it_installs(make: object, tmp_path: Path) -> None:
    """Six GB were installed before the refusal; with -j, too, nothing may start."""
    (tmp_path / "train.jsonl").touch()
    for arguments in (
        (),
        ("TRAIN=train.jsonl",),
        ("-j4", "TRAIN=train.jsonl", "UNLABELLED=train.jsonl", "DEV=no-file"),
    ):
        done = make("train-default", *arguments)  # type: ignore[operator]
        assert done.returncode == 2
        assert "expected three files of chats" in done.stderr
        assert "no-python" not in done.stderr
    ready = [f"{name}=train.jsonl" for name in ("TRAIN", "UNLABELLED", "DEV")]
    # With its files it goes on to install.
    assert "no-python" in make("train-default", *ready).stderr  # type: ignore[operator]


_APT = """#!/bin/sh
echo "$@" >> calls
[ "$1" = install ] || exit 100
{install}
"""


@pytest.mark.parametrize(
    ("install", "chromium", "said"),
    [
        # `apt-get update` always fails here: a list of somebody else's is broken.
        pytest.param("exit 100", "", "found no program chromium; expected Chromium; apt-get", id="no network"),
        pytest.param("exit 0", "", "found no program chromium; expected Chromium; apt-get", id="a package of nothing"),
        pytest.param(
            "exit 0", "/none/chrome", "found no program /none/chrome; expected", id="another that is not there"
        ),
        pytest.param("cp bin/apt-get bin/chromium", "", "", id="installed"),
        pytest.param("exit 100", "sh", "", id="another that is there"),
    ],
)
def test_a_browser_that_cannot_be_installed_is_said_at_once(
    make: object, tmp_path: Path, install: str, chromium: str, said: str
) -> None:
    """Not by the first of many tests, half an hour later; and who names another gets no package."""
    (tmp_path / "bin").mkdir()
    for name in ("make", "sh", "cp"):
        program = shutil.which(name)
        assert program is not None
        (tmp_path / "bin" / name).symlink_to(program)
    (tmp_path / "bin" / "apt-get").write_text(_APT.replace("{install}", install))
    (tmp_path / "bin" / "apt-get").chmod(0o755)
    done = make("setup-browser", f"PATH={tmp_path / 'bin'}", f"CHROMIUM={chromium}")  # type: ignore[operator]
    assert said in done.stderr
    assert (done.returncode != 0) == bool(said)
    assert (tmp_path / "calls").exists() == (not chromium)


@pytest.mark.parametrize(
    ("install", "has_own", "said"),
    [
        pytest.param("exit 100", False, "expected initdb and pg_ctl; apt-get", id="no network"),
        pytest.param("exit 0", True, "", id="another that is there"),
        pytest.param("exit 0", None, "found no PostgreSQL in /none; expected initdb", id="another that is not there"),
    ],
)
def test_a_database_that_cannot_be_installed_is_said_at_once(
    make: object, tmp_path: Path, install: str, has_own: bool | None, said: str
) -> None:
    """As of the browser."""
    (tmp_path / "bin").mkdir()
    for name in ("make", "sh", "ls"):
        program = shutil.which(name)
        assert program is not None
        (tmp_path / "bin" / name).symlink_to(program)
    (tmp_path / "bin" / "apt-get").write_text(_APT.replace("{install}", install))
    (tmp_path / "bin" / "apt-get").chmod(0o755)
    folder = {None: "/none", False: "", True: str(tmp_path)}[has_own]
    (tmp_path / "initdb").touch()
    # Where this machine has one, the package is not asked for.
    if has_own is False and list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        said = ""
    done = make("setup-postgres", f"PATH={tmp_path / 'bin'}", f"POSTGRES_BIN={folder}")  # type: ignore[operator]
    assert said in done.stderr
    assert (done.returncode != 0) == bool(said)


def test_help_lists_every_target_and_every_command(make: object) -> None:
    """Who knows make alone finds `python -m worker explain`."""
    done = make("help")  # type: ignore[operator]
    assert done.returncode == 0
    for name in set(commands()) - _INTERNAL:
        assert f"python -m {name} " in done.stdout, name
    for target in ("demo", "setup-training", "train-default", "test-unit"):
        assert f"\n{target} " in done.stdout
