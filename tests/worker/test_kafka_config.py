"""Settings to librdkafka properties."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from worker.kafka_config import client_config, consumer_config
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
