from pathlib import Path

import pytest

from loadtest.errors import LoadTestError
from loadtest.run.kafka_properties import read_properties, worker_settings
from loadtest.run.measured_worker import worker_environment
from loadtest.services import Services
from testkit.errors import HarnessError
from testkit.topics import Topics

SASL = ["security.protocol=sasl_ssl", "sasl.mechanism=PLAIN", "sasl.username=me", "sasl.password=hunter=2"]


def test_properties_come_from_a_file_and_the_command_line_has_the_last_word(tmp_path: Path) -> None:
    """Secrets belong in a file: a command line is seen by everyone on the machine."""
    path = tmp_path / "client.properties"
    path.write_text("# how to reach it\nsecurity.protocol=SSL\n\nssl.ca.location = /ca.pem\n", encoding="utf-8")
    found = read_properties(["security.protocol=SASL_SSL"], path)
    assert found == {"security.protocol": "SASL_SSL", "ssl.ca.location": "/ca.pem"}


def test_a_value_may_hold_an_equals_sign() -> None:
    """Passwords do."""
    assert read_properties(SASL, None)["sasl.password"] == "hunter=2"


@pytest.mark.parametrize(
    "line", ["group.id=mine", "bootstrap.servers=host:9", "isolation.level=read_uncommitted", "hunter2"]
)
def test_what_belongs_to_the_measurement_is_refused_and_no_value_is_quoted(line: str) -> None:
    """A reader that sees aborted verdicts, or another's group, would measure something else."""
    with pytest.raises(LoadTestError) as raised:
        read_properties([line], None)
    assert line.rpartition("=")[2] not in str(raised.value)


def test_the_worker_under_test_reaches_the_same_brokers_the_same_way() -> None:
    """Otherwise only the generator would get in."""
    properties = read_properties([*SASL, "socket.timeout.ms=1000"], None)
    assert worker_settings(properties) == {
        "MODERATION_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "MODERATION_KAFKA__SASL_MECHANISM": "PLAIN",
        "MODERATION_KAFKA__SASL_USERNAME": "me",
        "MODERATION_KAFKA__SASL_PASSWORD": "hunter=2",
    }
    topics = Topics("broker:1", "e", "v", "d", "g", 3)
    environment = worker_environment({}, topics, Services("broker:1", None, properties), http_port=1)
    assert environment.items() >= worker_settings(properties).items()


def test_no_text_of_an_object_holds_a_secret() -> None:
    """Objects end in error texts and tracebacks."""
    properties = read_properties(SASL, None)
    topics = Topics("broker:1", "e", "v", "d", "g", 3, properties)
    assert "hunter" not in f"{topics} {Services('broker:1', 'redis://:hunter@cache', properties)}"


def test_a_property_that_the_client_refuses_is_named_without_its_value() -> None:
    """The client's own message quotes the value."""
    with (
        pytest.raises(HarnessError, match=r"ssl\.no\.such") as raised,
        Services("broker:1", None, {"ssl.no.such": "hunter2"}).fresh_topics(n_partitions=1),
    ):
        pass
    assert "hunter2" not in str(raised.value)
