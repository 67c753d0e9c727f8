"""Settings to librdkafka properties."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from pydantic import SecretStr

from worker.kafka.config import (
    best_effort_config,
    client_config,
    consumer_config,
    producer_config,
    transactional_id_of,
    unused_settings,
)
from worker.settings.kafka import Compression, GroupProtocol, KafkaSettings


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


def test_oauthbearer_lets_the_client_fetch_its_own_tokens() -> None:
    """Librdkafka's method for client credentials; without it the client would wait for a callback that never comes."""
    settings = KafkaSettings(
        bootstrap_servers="broker:9092",
        security_protocol="SASL_SSL",
        sasl_mechanism="OAUTHBEARER",
        oauth_token_url="https://issuer.example/token",  # noqa: S106  an address
        oauth_client_id="worker",
        oauth_client_secret=SecretStr("x"),
        oauth_ca_location=Path("/ca.pem"),
    )
    assert (
        client_config(settings).items()
        >= {
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": "https://issuer.example/token",
            "sasl.oauthbearer.client.id": "worker",
            "sasl.oauthbearer.client.secret": "x",
            "https.ca.location": "/ca.pem",
        }.items()
    )


def test_what_is_not_set_is_left_to_the_client() -> None:
    """An empty ssl.ca.location, say, is not the system's."""
    config = client_config(KafkaSettings(bootstrap_servers="broker:9092"))
    assert not [name for name in config if name.startswith(("sasl", "ssl", "https"))]


@pytest.mark.parametrize("assignor", [None, "uniform", "range"])
def test_librdkafka_takes_what_the_consumer_protocol_is_given(assignor: str | None) -> None:
    """It refuses the classic protocol's assignor, session and heartbeat beside group.protocol=consumer."""
    settings = KafkaSettings.model_validate(
        {"bootstrap_servers": "broker:9092", "group_protocol": "consumer", "group_remote_assignor": assignor}
    )
    config = consumer_config(settings)
    assert config["group.protocol"] == "consumer"
    assert config.get("group.remote.assignor") == assignor
    Consumer(config | {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}).close()


def test_the_session_setting_is_named_as_unused_with_the_consumer_protocol_alone() -> None:
    """Who sets a session of 60 s must learn that the broker's 45 s hold."""
    classic = KafkaSettings(bootstrap_servers="broker:9092")
    assert unused_settings(classic) == {}
    assert set(unused_settings(classic.model_copy(update={"group_protocol": GroupProtocol.CONSUMER}))) == {
        "session_timeout_s"
    }


def test_a_rack_reaches_the_client() -> None:
    """Under both protocols; without one, or with the empty text of a pod label that is not there, there is none."""
    for nothing in (None, ""):
        settings = KafkaSettings(bootstrap_servers="broker:9092", client_rack=nothing)
        assert "client.rack" not in consumer_config(settings)
    for protocol in GroupProtocol:
        settings = KafkaSettings(bootstrap_servers="broker:9092", client_rack="zone-a", group_protocol=protocol)
        assert consumer_config(settings)["client.rack"] == "zone-a"


def test_transactional_ids_differ_between_workers_of_one_host_unless_they_are_given() -> None:
    """Two workers with one id fence each other for ever."""
    settings = KafkaSettings(bootstrap_servers="broker:9092")
    ids = [transactional_id_of(settings) for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(str(one).startswith("verdictstream.") for one in ids)
    given = settings.model_copy(update={"transactional_id": "verdictstream.pod-0"})
    assert transactional_id_of(given) == "verdictstream.pod-0"


@pytest.mark.parametrize("codec", Compression)
def test_every_producer_writes_the_codec_that_is_set(codec: Compression) -> None:
    """And librdkafka, as it comes in the wheel, has it."""
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", compression=codec)
    for config in (
        producer_config(settings, transactional_id=None, max_message_bytes=1_000_000),
        best_effort_config(settings),
    ):
        assert config["compression.type"] == codec.value
        Producer(config | {"log_level": 0})


def test_by_default_it_is_lz4() -> None:
    """Of the codecs that compress it costs the worker least."""
    assert KafkaSettings(bootstrap_servers="broker:9092").compression is Compression.LZ4


def test_a_verdict_lands_where_java_puts_a_record_of_the_same_key() -> None:
    """Librdkafka's default is another hash: joins with `chat-events` by partition would miss."""
    settings = KafkaSettings(bootstrap_servers="broker:9092")
    config = producer_config(settings, transactional_id="t", max_message_bytes=1_000_000)
    assert config["partitioner"] == best_effort_config(settings)["partitioner"] == "murmur2_random"


@pytest.mark.parametrize(("limit", "batch"), [(1_048_588, 943_729), (4_000, 3_600), (5_000_000, 1_000_000), (1, 1)])
def test_messages_travel_in_batches_that_the_smallest_topic_takes(limit: int, batch: int) -> None:
    """A topic's limit holds for a batch: twenty small verdicts together were refused for good as too large."""
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    config = producer_config(settings, transactional_id=None, max_message_bytes=2_000_000, min_message_bytes=limit)
    assert config["batch.size"] == batch
    Producer(config | {"log_level": 0})
