"""What is measured runs on CPUs of its own, where that is asked for."""

import os
import subprocess
import sys
import threading

import pytest

from loadtest.errors import LoadTestError
from loadtest.placement import Placement
from loadtest.run.thread_cpu import CLIENT, MAIN, OTHER, cpu_by_thread

USABLE = sorted(os.sched_getaffinity(0))
SHOW = "import os; print(sorted(os.sched_getaffinity(0)))"


def _shown() -> str:
    return subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout.strip()


def test_without_lists_everything_runs_where_it_did() -> None:
    """The lists are asked for; nothing moves by itself."""
    placement = Placement.of(None, None)
    placement.take()
    with placement.measured():
        assert _shown() == str(USABLE)
    assert placement.n_worker_cpus == len(USABLE)
    assert placement.facts() == {"worker_cpus": None, "other_cpus": None}


@pytest.mark.skipif(len(USABLE) < 2, reason="two lists without a CPU in common need two CPUs")
def test_what_is_measured_runs_on_its_own_cpus_and_the_rest_on_the_others() -> None:
    """Children inherit; this runs in a thread so that the other tests keep their CPUs."""
    placement = Placement.of(str(USABLE[0]), ",".join(map(str, USABLE[1:])))
    seen: list[str] = []

    def placed() -> None:
        placement.take()
        with placement.measured():
            seen.append(_shown())
        seen.append(_shown())

    thread = threading.Thread(target=placed)
    thread.start()
    thread.join()
    assert seen == [str(USABLE[:1]), str(USABLE[1:])]
    assert placement.n_worker_cpus == 1
    assert sorted(os.sched_getaffinity(0)) == USABLE


@pytest.mark.parametrize(
    ("worker", "others", "said"),
    [
        ("0", None, "expected both or neither"),
        ("first", "1", "expected numbers and ranges"),
        ("0-", "1", "expected numbers and ranges"),
        ("4096", "0", "are usable here"),
        ("1-0", "0", "are usable here"),
        (f"{USABLE[0]}", f"{USABLE[0]}-{USABLE[0]}", "without a CPU in common"),
    ],
)
def test_lists_that_make_no_sense_are_refused(worker: str, others: str | None, said: str) -> None:
    """A run on other CPUs than was meant is a wrong figure."""
    with pytest.raises(LoadTestError, match=said):
        Placement.of(worker, others)


def test_cpu_seconds_are_told_apart_by_thread() -> None:
    """The main thread is the process' id; a Kafka client names its own."""
    before = cpu_by_thread(os.getpid())
    sum(i * i for i in range(3_000_000))
    after = cpu_by_thread(os.getpid())
    assert set(after) == {MAIN, CLIENT, OTHER}
    assert after[MAIN] > before[MAIN]
