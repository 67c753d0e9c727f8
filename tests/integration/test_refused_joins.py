"""A group that never takes this worker: exit code 3 with the remedy, in place of a worker that is never ready."""

import threading
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer

from testkit.topics import Topics
from tests.integration.conftest import StartWorker
from worker.kafka.retry import PATIENCE_S

pytestmark = pytest.mark.services


@pytest.mark.parametrize("session_s", ["0.5", "2000"])
def test_a_session_outside_of_the_brokers_limits_ends_the_start(start_worker: StartWorker, session_s: str) -> None:
    """The broker refused every join, and the worker tried for ever."""
    worker = start_worker(KAFKA__SESSION_TIMEOUT_S=session_s, KAFKA__MAX_POLL_INTERVAL_S="3000")
    assert worker.wait_exit() == 3
    error = worker.events("worker_fatal")[0]["error"]
    assert "MODERATION_KAFKA__SESSION_TIMEOUT_S" in error
    assert "group.min.session.timeout.ms" in error


@pytest.fixture
def range_member(topics: Topics) -> Iterator[None]:
    """Keep a member with another assignor in the group of the workers."""
    leaving = threading.Event()
    config = {
        "bootstrap.servers": topics.bootstrap_servers,
        "group.id": topics.group_id,
        "partition.assignment.strategy": "range",
    }
    member, joined = Consumer(config), threading.Event()
    member.subscribe([topics.events], on_assign=lambda *_: joined.set())

    def poll() -> None:
        while not leaving.is_set():
            member.poll(0.1)
        member.close()

    polling = threading.Thread(target=poll)
    polling.start()
    assert joined.wait(30)
    yield
    leaving.set()
    polling.join()


@pytest.mark.usefixtures("range_member")
def test_a_member_with_another_assignor_ends_the_worker_after_some_patience(start_worker: StartWorker) -> None:
    """It may be about to leave; where it stays, somebody must stop it."""
    worker = start_worker()
    assert worker.wait_exit(timeout_s=PATIENCE_S + 40) == 3
    error = worker.events("worker_fatal")[0]["error"]
    assert "cooperative-sticky" in error
    assert "MODERATION_KAFKA__GROUP_ID" in error
