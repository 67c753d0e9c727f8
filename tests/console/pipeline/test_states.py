"""Which services answer, and since when."""

import threading
from collections.abc import Iterator

import pytest

from console.pipeline.states import KafkaCheck, RedisCheck, States
from testkit.waiting import wait_until
from tests.console.operations import worker_settings
from worker.settings.redis import RedisSettings


def test_a_state_tells_since_when_it_is_so() -> None:
    """A second failure is not a new one; its cause is."""
    answers: Iterator[str | None] = iter([None, "refused", "still refused", None])
    clock = iter(range(100, 200))
    states = States({"kafka": lambda: next(answers)}, clock=lambda: next(clock))
    assert states.now()["kafka"].is_there is None
    states.look("kafka")
    assert states.now()["kafka"].is_there is True
    states.look("kafka")
    first = states.now()["kafka"]
    assert (first.is_there, first.error) == (False, "refused")
    states.look("kafka")
    second = states.now()["kafka"]
    assert (second.since_ms, second.error) == (first.since_ms, "still refused")
    states.look("kafka")
    back = states.now()["kafka"]
    assert (back.is_there, back.error) == (True, None)
    assert back.since_ms > first.since_ms


def test_a_service_that_hangs_hides_no_other() -> None:
    """Each is asked in a thread of its own."""
    hung = threading.Event()

    def hang() -> str | None:
        hung.wait(30)
        return None

    states = States({"kafka": hang, "redis": lambda: "refused"})
    states.start()
    wait_until(lambda: states.now()["redis"].is_there is False, timeout_s=30)
    assert states.now()["kafka"].is_there is None
    hung.set()
    states.close()


@pytest.mark.services
def test_nobody_at_the_address_is_away_in_words() -> None:
    """Without a password of the address."""
    kafka = KafkaCheck(worker_settings().kafka)()
    assert kafka is not None
    assert "127.0.0.1:1" in kafka
    redis = RedisCheck(RedisSettings.model_validate({"url": "redis://:secret@127.0.0.1:1/0"}))()
    assert redis is not None
    assert "secret" not in redis
