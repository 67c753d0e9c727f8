"""A group that does not take this member: for good, or while others are in it."""

from typing import Any

import pytest
import structlog
from confluent_kafka import KafkaError, Message

from tests.broker_twin.broker import TwinBroker
from tests.worker.kafka.faults import FaultyClient
from worker.errors import Fatal
from worker.kafka.config import consumer_config
from worker.kafka.consumer import RecordConsumer
from worker.kafka.reachability import Reachability
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings


class RefusedClient(FaultyClient):
    """A client whose next polls bring these errors."""

    def __init__(self, client: Any, *codes: int) -> None:
        super().__init__(client)
        self.codes = list(codes)

    def poll(self, timeout_s: float) -> Message | None:
        """Return the next error, else what is there."""
        if not self.codes:
            found: Message | None = self._client.poll(timeout_s)
            return found
        error = KafkaError(self.codes.pop(0), "JoinGroup failed")
        return Message(topic=None, partition=-1, offset=-1001, error=error)


def consumer_over(twin: TwinBroker, *codes: int) -> RecordConsumer:
    """Return a consumer whose joins are refused so."""
    settings, metrics = KafkaSettings(bootstrap_servers="twin:1"), Metrics()
    twin.create_topics({settings.input_topic: 1})
    client = RefusedClient(twin.consumer(consumer_config(settings)), *codes)
    reachability = Reachability(exit_after_s=60.0, metrics=metrics, probe=lambda: None)
    return RecordConsumer(client, settings, metrics, reachability, settle=lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (KafkaError.INVALID_SESSION_TIMEOUT, "MODERATION_KAFKA__SESSION_TIMEOUT_S"),
        (KafkaError.INVALID_GROUP_ID, "MODERATION_KAFKA__GROUP_ID"),
    ],
)
def test_a_refusal_that_no_waiting_cures_ends_the_worker_at_once(twin: TwinBroker, code: int, remedy: str) -> None:
    """It lived on and was never ready."""
    with pytest.raises(Fatal, match=remedy):
        consumer_over(twin, code).poll_batch(max_records=1, max_bytes=1)


@pytest.mark.parametrize("code", [KafkaError.INCONSISTENT_GROUP_PROTOCOL, KafkaError.GROUP_MAX_SIZE_REACHED])
def test_a_refusal_because_of_others_may_pass_for_a_while(
    twin: TwinBroker, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """They may be about to leave, as in a change of the group protocol; then the time counts anew."""
    consumer = consumer_over(twin, code, code)
    for _ in range(2):
        consumer.poll_batch(max_records=1, max_bytes=1)
    consumer.poll_batch(max_records=1, max_bytes=1)
    assert consumer.joined
    monkeypatch.setattr("worker.kafka.retry.PATIENCE_S", 0.0)
    with pytest.raises(Fatal, match=r"as group verdictstream.*(stop it|fewer workers)"):
        consumer_over(twin, code).poll_batch(max_records=1, max_bytes=1)


def test_the_same_error_again_and_again_is_logged_now_and_then(twin: TwinBroker) -> None:
    """A client repeats itself ten times a second."""
    consumer = consumer_over(twin, *[KafkaError._TRANSPORT] * 50)
    with structlog.testing.capture_logs() as logged:
        for _ in range(50):
            consumer.poll_batch(max_records=1, max_bytes=1)
    assert [line["event"] for line in logged] == ["consumer_error"]
