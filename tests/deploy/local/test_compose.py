"""The compose file and the image offer what the embedded stack offers; checked without Docker."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.jars import load_lock
from deploy.local.kafka_config import MESSAGE_MAX_BYTES

_DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services of the compose file."""
    compose = yaml.safe_load((_DEPLOY / "compose.yaml").read_text("utf-8"))
    assert set(compose) == {"name", "services", "networks", "volumes"}
    found: dict[str, Any] = compose["services"]
    return found


def test_kafka_redis_workers_the_console_and_what_watches_them_are_offered(services: dict[str, Any]) -> None:
    """What `python -m deploy.local up` starts, two workers that share the partitions, and a dashboard."""
    expected = {"kafka", "topics", "redis", "worker", "console", "review", "postgres", "prometheus", "grafana"}
    assert set(services) == expected
    assert services["worker"]["deploy"]["replicas"] == 2


def test_kafka_has_the_version_the_embedded_stack_pins(services: dict[str, Any]) -> None:
    """What passes in one must not meet another broker in the other."""
    assert services["kafka"]["image"] == f"apache/kafka:{load_lock().kafka_version}"
    assert services["topics"]["image"] == services["kafka"]["image"]


def test_every_image_is_pinned_to_a_version(services: dict[str, Any]) -> None:
    """`latest` changes under the reader's feet."""
    images = [service["image"] for service in services.values() if "image" in service]
    assert all(re.fullmatch(r"[\w/]+:v?\d+\.\d[\w.-]*", image) for image in images), images


def test_kafka_is_one_kraft_node_with_the_same_limits(services: dict[str, Any]) -> None:
    """No ZooKeeper, no topic out of a typing error, the largest chat event fits."""
    environment = services["kafka"]["environment"]
    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_MESSAGE_MAX_BYTES"] == str(MESSAGE_MAX_BYTES)
    for name in ("OFFSETS_TOPIC", "TRANSACTION_STATE_LOG"):
        assert environment[f"KAFKA_{name}_REPLICATION_FACTOR"] == "1"


def test_the_three_topics_of_the_contract_are_created(services: dict[str, Any]) -> None:
    """The worker starts only where they are there; tests/deploy compares all of them with the list."""
    script = services["topics"]["command"][-1]
    assert all(f"--topic {topic} " in script for topic in ("chat-events", "verdicts", "chat-events.dlq"))
    assert services["topics"]["environment"]["PARTITIONS"] == "12"


def test_ports_are_published_on_the_loopback_only(services: dict[str, Any]) -> None:
    """Neither Kafka nor Redis asks for a password here."""
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_dependency_exists_and_can_become_healthy(services: dict[str, Any]) -> None:
    """Compose waits for ever for the health of a service without a check."""
    for service in services.values():
        for name, rule in service.get("depends_on", {}).items():
            assert name in services
            if rule["condition"] == "service_healthy":
                assert "healthcheck" in services[name]


def test_the_worker_finds_both_services(services: dict[str, Any]) -> None:
    """Names from the contract."""
    environment = services["worker"]["environment"]
    assert environment["MODERATION_KAFKA__BOOTSTRAP_SERVERS"] == "kafka:9092"
    assert environment["MODERATION_REDIS__URL"] == "redis://redis:6379/0"
    assert all(name.startswith("MODERATION_") for name in environment)


@pytest.mark.parametrize("name", ["worker", "console"])
def test_our_own_containers_have_no_more_rights_than_they_need(services: dict[str, Any], name: str) -> None:
    """The hardening of the Helm chart applies here too."""
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    built_from = (_DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve()
    assert built_from == (_DEPLOY / "Dockerfile").resolve()
    assert service["build"]["target"] == name
