"""The demo as people run it: `python -m deploy.demo` on a real broker, a real Redis and a real worker."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.demo.malformed import MALFORMED
from testkit.waiting import wait_until

pytestmark = pytest.mark.services

REPOSITORY = Path(__file__).parents[3]
MARK = "VERDICTSTREAM_DEMO_TEST"
"""Inherited by everything that the demo starts, so that what it leaves behind can be found."""


class Demo:
    """A running demo.

    Args:
        arguments: Command line after `python -m deploy.demo`.
        bundle: What its worker loads.
        temp_dir: Its TMPDIR: empty before, and empty afterwards when it cleans up.
        settings: Of its worker's model, by full name.
    """

    def __init__(self, arguments: tuple[str, ...], bundle: Path, temp_dir: Path, settings: dict[str, str]) -> None:
        self.temp_dir = temp_dir
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.demo", *arguments],
            cwd=REPOSITORY,
            env={
                **os.environ,
                MARK: self._mark,
                "TMPDIR": str(temp_dir),
                "MODERATION_MODEL__PATH": str(bundle),
                **settings,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_line(self, text: str) -> None:
        """Read its output up to a line that contains `text`."""
        assert self.process.stdout is not None
        assert any(text in line for line in self.process.stdout), self.process.communicate()[1]

    def left_behind(self) -> list[int]:
        """Return the pids of processes that it has started and that still run."""
        return [process.pid for process in psutil.process_iter() if _mark_of(process) == self._mark]


def _mark_of(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


@pytest.fixture
def start(tmp_path: Path, bundle_path: Path) -> Iterator[Callable[..., Demo]]:
    """Return a function that starts the demo; whatever a failed test leaves running is killed."""
    started: list[Demo] = []

    def start_demo(*arguments: str, bundle: Path = bundle_path, **settings: str) -> Demo:
        started.append(Demo(arguments, bundle, tmp_path, settings))
        return started[-1]

    yield start_demo
    for demo in started:
        for pid in demo.left_behind():
            psutil.Process(pid).kill()
        demo.process.communicate()


def test_every_event_of_a_demo_ends_once_and_nothing_is_left_running(start: Callable[..., Demo]) -> None:
    """The first thing a person runs: real chats in, verdicts out, all accounted for, and the machine as before."""
    demo = start("--limit", "24", "--events-per-s", "20", "--json")
    output, errors = demo.process.communicate(timeout=120)
    assert demo.process.returncode == 0, errors
    # One line for a program, and nothing else; people read the rest beside it.
    numbers = json.loads(output)
    shown = errors.index("Some of the chats, with their verdicts")
    assert shown < errors.index("Verdicts by category")
    assert "= 12 that the demo made malformed" in errors
    assert "of the events file itself" not in errors
    assert numbers["ok"]
    assert numbers["balanced"]
    assert numbers["n_events"] == numbers["n_verdicts"] + numbers["n_dead_letters"] == 24 + 3 + 3 + len(MALFORMED)
    assert numbers["n_dead_letters"] == sum(numbers["n_by_reason"].values()) == len(MALFORMED)
    assert numbers["n_cache_hits"] == numbers["n_by_kind"]["repeat"] == 3
    assert numbers["latency"]["n"] == 18
    assert demo.left_behind() == []
    assert list(demo.temp_dir.iterdir()) == []


def test_an_interrupted_demo_stops_its_worker_broker_and_redis(start: Callable[..., Demo]) -> None:
    """Ctrl-C in the middle of the work is the ordinary way to end a demo."""
    demo = start("--limit", "200")
    demo.wait_for_line("backlog:")
    assert len(demo.left_behind()) > 1
    demo.process.send_signal(signal.SIGINT)
    _, errors = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 130
    assert errors.splitlines()[-1].startswith("interrupted")
    assert demo.left_behind() == []
    assert list(demo.temp_dir.iterdir()) == []


@pytest.mark.chaos
def test_nothing_outlives_a_demo_that_is_killed(start: Callable[..., Demo]) -> None:
    """A killed demo cannot clean up; the watchdog does it, the worker included."""
    demo = start("--limit", "24")
    demo.wait_for_line("worker starts")
    demo.process.kill()
    wait_until(lambda: demo.left_behind() == [], timeout_s=30)


def test_a_worker_that_cannot_start_ends_the_demo_with_its_log(start: Callable[..., Demo], tmp_path: Path) -> None:
    """The reason is in the worker's log, which nobody would know where to look for."""
    numbers = tmp_path / "numbers.json"
    demo = start("--limit", "24", "--json-file", str(numbers), MODERATION_MODEL__MAX_ROWS="0")
    _, errors = demo.process.communicate(timeout=120)
    assert demo.process.returncode == 1
    assert not json.loads(numbers.read_text())["ok"]
    assert "the worker ended with exit code 2" in errors
    assert "max_rows" in errors.casefold()
    assert len(list(tmp_path.glob("verdictstream-demo-*/worker.log"))) == 1
    assert demo.left_behind() == []


def test_a_bundle_or_a_policy_that_is_refused_is_a_usage_error(start: Callable[..., Demo], tmp_path: Path) -> None:
    """What no worker would start with is told before a broker is started."""
    demo = start("--bundle", str(tmp_path / "no-bundle"))
    _, errors = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 2
    assert "no-bundle/manifest.json" in errors
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'name = "strict"\nversion = "1"\ntaxonomy = "toxicity"\nbanned = ["toxic"]\n'
        "max_banned_to_safe_rate = 0.1\nmax_safe_to_banned_rate = 0.1\n"
    )
    demo = start("--policy", str(policy))
    _, errors = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 2
    assert "'toxicity'" in errors
    assert "'chat-13'" in errors


def test_an_events_file_that_is_not_there_is_a_usage_error(start: Callable[..., Demo]) -> None:
    """Nothing is started for a typo."""
    demo = start("--events", "no-such-file.jsonl")
    _, errors = demo.process.communicate(timeout=60)
    assert demo.process.returncode == 2
    assert errors.startswith("error: no-such-file.jsonl: ")
