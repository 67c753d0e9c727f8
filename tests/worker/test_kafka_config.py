"""Settings to librdkafka properties."""

import pytest

from worker.kafka_config import consumer_config
from worker.settings import KafkaSettings


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(None, {}, id="by default not"),
        pytest.param("worker-0", {"group.instance.id": "worker-0"}, id="named"),
    ],
)
def test_only_a_named_instance_is_a_static_member(name: str | None, expected: dict[str, str]) -> None:
    """A static member that never comes back under its name holds its partitions until the session ends."""
    config = consumer_config(KafkaSettings(bootstrap_servers="broker:9092", group_instance_id=name))
    assert {key: value for key, value in config.items() if key == "group.instance.id"} == expected
