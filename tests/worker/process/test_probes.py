"""What the probes answer, from a start that waits to an end that fails."""

import threading
import time

import pytest

from worker.process.lifecycle import Lifecycle
from worker.process.probes import Probes


@pytest.fixture
def lifecycle() -> Lifecycle:
    """Return one whose process has no end in sight."""
    return Lifecycle(grace_s=3_600.0)


@pytest.fixture
def probes(lifecycle: Lifecycle) -> Probes:
    """Return probes of a process that has just begun."""
    return Probes(lifecycle, stalled_after_s=120.0)


def test_a_start_that_waits_is_alive_and_says_what_for(probes: Probes) -> None:
    """Whoever asks why a new pod is not ready has nothing else to look at."""
    assert (probes.live(), probes.ready()) == (None, "starting: starting")
    probes.waiting("connecting to Kafka at broker:9092")
    assert (probes.live(), probes.ready()) == (None, "starting: connecting to Kafka at broker:9092")


def test_waiting_for_kafka_is_no_stall(lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    """F16: after 120 s the pod was restarted, again and again, and nothing came of it."""
    probes = Probes(lifecycle, stalled_after_s=120.0)
    now_s = time.monotonic()
    for waited_s in range(0, 600, 20):
        monkeypatch.setattr("worker.process.lifecycle.time.monotonic", lambda at=now_s + waited_s: at)
        probes.waiting("committing")
        monkeypatch.setattr("worker.process.lifecycle.time.monotonic", lambda at=now_s + waited_s + 20: at)
        assert probes.live() is None
    monkeypatch.setattr("worker.process.lifecycle.time.monotonic", lambda: now_s + 800)
    assert probes.live() == "the loop has not come round for 220 s"


def test_the_first_check_that_finds_something_is_the_answer(probes: Probes, lifecycle: Lifecycle) -> None:
    """A stop wins over it, and a failure over both."""
    found: list[str | None] = [None, None]
    probes.serving([lambda: found[0], lambda: found[1]])
    assert probes.ready() is None
    found[1] = "nothing could be committed for 31 s"
    assert probes.ready() == "nothing could be committed for 31 s"
    lifecycle.stopping.set()
    assert probes.ready() == "stopping"
    probes.failed("Kafka: no broker has answered")
    assert probes.ready() == "Kafka: no broker has answered"


def test_a_signal_ends_the_lingering_before_an_exit(lifecycle: Lifecycle) -> None:
    """The port stays for a scrape, and never holds up an orchestrator."""
    lingering = threading.Thread(target=lifecycle.linger, args=(600.0,))
    lingering.start()
    lifecycle.stopping.set()
    lingering.join(30)
    assert not lingering.is_alive()
    lifecycle.linger(600.0)


def test_lingering_is_not_cut_by_the_grace_time_of_an_end_that_is_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or exit code 3, with its reason, would become 4."""
    cut = threading.Event()
    monkeypatch.setattr(Lifecycle, "_cut", lambda _self: cut.set())
    lifecycle = Lifecycle(grace_s=0.2)
    lifecycle.must_end_in_time()
    lifecycle.linger(0.6)
    assert not cut.is_set()
