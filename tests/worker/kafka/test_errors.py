"""Which errors end the worker, and what its last line says."""

import pytest
from confluent_kafka import KafkaError

from worker.kafka.errors import fatal, is_fatal


@pytest.mark.parametrize("code", [KafkaError.FENCED_INSTANCE_ID, KafkaError.UNRELEASED_INSTANCE_ID])
def test_a_fatal_error_that_a_consumer_wraps_ends_the_worker_with_the_remedy_of_its_cause(code: int) -> None:
    """A consumer hands out _FATAL, which does not say that it is fatal, with the cause in its text."""
    wrapped = KafkaError(KafkaError._FATAL, f"Fatal error: {KafkaError(code).str()}: Fatal consumer error")
    assert not wrapped.fatal()
    assert is_fatal(wrapped)
    assert "another worker runs with the same group instance id" in str(fatal(wrapped, "reading"))


def test_an_unknown_fatal_cause_still_ends_the_worker() -> None:
    """With the library's own words, and the advice to restart."""
    wrapped = KafkaError(KafkaError._FATAL, "Fatal error: something new")
    assert is_fatal(wrapped)
    assert "something new" in str(fatal(wrapped, "reading"))
    assert "must be restarted" in str(fatal(wrapped, "reading"))
