"""What the pages say of a pipeline that is away."""

from confluent_kafka import KafkaError

from console.pipeline.errors import PipelineAway
from worker.kafka.errors import fatal


def test_nobody_is_told_to_restart_the_console() -> None:
    """A worker ends at such an error, and a console asks again by itself."""
    found = str(PipelineAway(str(fatal(KafkaError(KafkaError.UNKNOWN), "reading the verdict topic"))))
    assert "restarted" not in found
    assert found.startswith("reading the verdict topic: ")
    assert found.endswith("see the broker's log")
