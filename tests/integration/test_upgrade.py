"""The release before and this one in one consumer group: up and back under traffic, nothing lost, nothing twice.

What this release has on besides is on: its topics are there first, as the runbook says, and the earlier release knows
nothing of them.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local import LocalStack
from deploy.local.kafka_topics import admin_client, create_topics
from testkit.records import Place
from testkit.topics import Topics
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess, child_environment
from tests.integration.conftest import Settings
from tests.integration.earlier_release import earlier_release
from tests.integration.ledger import LiveLedger
from tests.integration.workers import REPOSITORY
from worker.process.lifecycle import EXIT_USAGE

pytestmark = pytest.mark.services

N_CHATS = 24
COMPACTED = ("policies", "state", "overrides", "erasures")
StartRelease = Callable[..., WorkerProcess]


@pytest.fixture
def new_settings(stack: LocalStack, topics: Topics) -> Settings:
    """Return the settings that this release knows and the one before does not, with their topics made."""
    mark = topics.events.rpartition("-")[2]
    named = {name: f"verdict-{name}-{mark}" for name in (*COMPACTED, "reviews")}
    admin = admin_client(stack.bootstrap_servers)
    for name, topic in named.items():
        policy = {"cleanup.policy": "compact" if name in COMPACTED else "delete"}
        create_topics(admin, {topic: topics.n_partitions}, copies=1, settings=policy)
    settings = {f"MODERATION_KAFKA__{name.upper()}_TOPIC": topic for name, topic in named.items()}
    return settings | {"MODERATION_ERASURE__HASH_KEY": "upgrade-test-key-of-32-characters"}


@pytest.fixture
def start(settings: Settings, new_settings: Settings, tmp_path: Path) -> Iterator[StartRelease]:
    """Return a function that starts a worker of the earlier release, or of this one."""
    earlier = earlier_release(tmp_path / "earlier")
    started: list[WorkerProcess] = []

    def start(release: str, **overrides: str) -> WorkerProcess:
        told = settings | (new_settings if release == "this" else {})
        told |= {f"MODERATION_{name}": value for name, value in overrides.items()}
        log = tmp_path / f"{release}-{len(started)}.log"
        worker = WorkerProcess(
            child_environment(os.environ, told), log, cwd=earlier if release == "earlier" else REPOSITORY
        )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()


def said(number: int) -> list[dict[str, Any]]:
    """Return an event of each chat; of one number all say the same, of another something else."""
    return [
        {
            "chat_id": f"chat-{i}",
            "messages": [{"role": "user", "content": f"tell me about number {number} of garden {i}"}],
        }
        for i in range(N_CHATS)
    ]


def judged(ledger: LiveLedger, number: int, seen: set[Place]) -> list[bool]:
    """Send a round, wait for its verdicts and return whether each was a hit."""
    ledger.send(said(number))
    ledger.wait_complete()
    found = {place: verdict for place, verdict in ledger.verdicts().items() if place not in seen}
    seen.update(found)
    assert len(found) == N_CHATS
    return [verdict.cache_hit for verdict in found.values()]


def test_each_release_takes_the_others_cached_values_for_its_own(start: StartRelease, ledger: LiveLedger) -> None:
    """Else an upgrade, and a rollback in the middle of an incident, would judge every chat again at once."""
    seen: set[Place] = set()
    for first, then, number in (("earlier", "this", 1), ("this", "earlier", 2)):
        worker = start(first)
        assert not any(judged(ledger, number, seen))
        assert worker.stop() == 0
        worker = start(then)
        assert all(judged(ledger, number, seen)), f"{then} does not believe what {first} has cached"
        assert worker.stop() == 0
    ledger.assert_exactly_once()


def test_up_and_back_under_traffic_in_one_group_loses_and_doubles_nothing(
    start: StartRelease, ledger: LiveLedger
) -> None:
    """I1 to I4 over both: workers of both releases share the partitions for a while, each way."""
    numbers = itertools.count(10)

    def traffic_until(condition: Callable[[], bool], worker: WorkerProcess) -> None:
        def sent_and_true() -> bool:
            # Every second round says the same as the one before, so that either may meet the other's values.
            ledger.send(said(next(numbers) // 2))
            return condition()

        wait_until(sent_and_true, timeout_s=120, what=worker.tail, every_s=0.2)

    def works(worker: WorkerProcess) -> Callable[[], bool]:
        n_before = len(worker.events("batch_done"))
        return lambda: len(worker.events("batch_done")) > n_before + 2

    before = start("earlier")
    traffic_until(works(before), before)
    for release in ("this", "earlier"):
        after = start(release)
        # Both have partitions and commit, as in the middle of a rollout.
        traffic_until(works(after), after)
        traffic_until(works(before), before)
        assert before.stop() == 0
        traffic_until(works(after), after)
        before = after
    ledger.wait_complete()
    assert before.stop() == 0
    ledger.assert_exactly_once()


def test_the_earlier_release_names_the_settings_that_must_be_taken_out_before_a_rollback(
    start: StartRelease, new_settings: Settings
) -> None:
    """The runbook's first step back; and it is the earlier code that runs here."""
    told = {name.removeprefix("MODERATION_"): value for name, value in new_settings.items()}
    worker = start("earlier", **told)
    assert worker.wait_exit(timeout_s=60) == EXIT_USAGE
    assert "MODERATION_KAFKA__STATE_TOPIC" in worker.tail()
