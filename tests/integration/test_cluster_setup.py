"""`python -m deploy.kafka`: topics and rights go into a real cluster; the second time nothing changes."""

import subprocess
from uuid import uuid4

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from deploy.kafka.rights import bindings, rights_by_role
from deploy.kafka.topics import topics_of
from tests.integration.secured_kafka import SECRET, SecuredKafka, kafka_settings
from tests.integration.workers import run_command
from worker.settings.kafka import KafkaSettings

pytestmark = pytest.mark.services


def setup(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run one command."""
    return run_command(*arguments, settings=environment, module="deploy.kafka", timeout_s=120)


@pytest.fixture
def environment(secured: SecuredKafka) -> dict[str, str]:
    """Return settings with names that no other test knows, for an administrator."""
    mark = uuid4().hex[:8]
    topics = [topic.setting for topic in topics_of(KafkaSettings(bootstrap_servers="unused:1"))]
    names = {name.upper(): f"{name}-{mark}" for name in topics} | {"GROUP_ID": f"group-{mark}"}
    names["BOOTSTRAP_SERVERS"] = secured.stack.bootstrap_servers
    return {f"MODERATION_KAFKA__{name}": value for name, value in names.items()}


def test_topics_are_created_once_and_the_one_of_replays_compacted(
    secured: SecuredKafka, environment: dict[str, str]
) -> None:
    """As many partitions as asked for, but one where plans are kept."""
    topics = topics_of(kafka_settings(environment))
    done = setup(environment, "topics", "--partitions", "3", "--copies", "1")
    assert done.returncode == 0, done.stderr
    assert all(topic.name in done.stdout for topic in topics)
    assert "nothing" in setup(environment, "topics", "--copies", "1").stdout
    found = secured.admin.list_topics(timeout=20).topics
    for topic in topics:
        assert len(found[topic.name].partitions) == (1 if topic.setting == "replay_topic" else 3), topic.setting
    resource = ConfigResource(ResourceType.TOPIC, environment["MODERATION_KAFKA__REPLAY_TOPIC"])
    (answer,) = secured.admin.describe_configs([resource]).values()
    assert answer.result(20)["cleanup.policy"].value == "compact"


def test_topics_that_are_named_later_have_as_many_partitions_as_the_input(
    secured: SecuredKafka, environment: dict[str, str]
) -> None:
    """By an upgrade: the default would give a larger input a state that workers refuse. What is not right is told."""
    assert setup(environment, "topics", "--partitions", "3", "--copies", "1").returncode == 0
    state, aging = (f"{environment['MODERATION_KAFKA__INPUT_TOPIC']}.{name}" for name in ("state", "aging"))
    later = environment | {"MODERATION_KAFKA__STATE_TOPIC": state}
    done = setup(later, "topics", "--partitions", "12", "--copies", "1")
    assert (done.returncode, done.stdout) == (0, f"created: {state}\n")
    assert "--partitions 12 was left aside" in done.stderr
    assert len(secured.admin.list_topics(timeout=20).topics[state].partitions) == 3
    (made,) = secured.admin.create_topics([NewTopic(aging, 1, 1)]).values()
    made.result(20)
    told = setup(environment | {"MODERATION_KAFKA__STATE_TOPIC": aging}, "topics", "--copies", "1")
    assert told.returncode == 0, told.stderr
    assert f"{aging} has 1 partitions; expected 3, as the input has" in told.stderr
    assert f"{aging} has cleanup.policy=delete; expected compact; set it with kafka-configs.sh" in told.stderr
    assert "note:" not in setup(later, "topics", "--copies", "1").stderr


def test_more_copies_than_brokers_are_refused_in_words(environment: dict[str, str]) -> None:
    """The default of three is for a cluster."""
    done = setup(environment, "topics")
    assert (done.returncode, "check --copies" in done.stderr) == (1, True)


def test_a_role_gets_its_rights_and_no_other(secured: SecuredKafka, environment: dict[str, str]) -> None:
    """What the broker holds afterwards is the list."""
    principal = f"User:{uuid4().hex[:8]}"
    for _ in range(2):
        done = setup(environment, "acls", "--grant", f"worker={principal}")
        assert done.returncode == 0, done.stderr
    everything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, principal, None, AclOperation.ANY, AclPermissionType.ANY
    )
    found = secured.admin.describe_acls(everything).result(20)
    assert set(found) == set(bindings(rights_by_role(kafka_settings(environment))["worker"], principal))
    secured.disallow(principal)


def test_an_unknown_role_is_refused_and_the_shown_commands_need_no_cluster(environment: dict[str, str]) -> None:
    """A typo gives nobody anything."""
    wrong = setup(environment, "acls", "--grant", "wroker=User:x")
    assert (wrong.returncode, "expected ROLE=PRINCIPAL" in wrong.stderr) == (2, True)
    # Nor does a role whose topics nobody uses.
    unused = setup(environment, "acls", "--grant", "reporter=User:x")
    assert (unused.returncode, "name the topics first" in unused.stderr) == (2, True)
    nowhere = environment | {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "nowhere.example:9092"}
    shown = setup(nowhere, "acls", "--grant", "replay=User:x", "--show")
    assert (shown.returncode, shown.stdout.count("kafka-acls.sh")) == (
        0,
        len(rights_by_role(kafka_settings(nowhere))["replay"]),
    )


def test_an_administrator_without_rights_is_told(secured: SecuredKafka, environment: dict[str, str]) -> None:
    """And its password is not."""
    connection = secured.connection("scram")
    stranger = environment | {f"MODERATION_{name}": value for name, value in connection.settings.items()}
    for arguments in (("topics", "--copies", "1"), ("acls", "--grant", "worker=User:x")):
        done = setup(stranger, *arguments)
        assert (done.returncode, "expected" in done.stderr) == (1, True)
        assert SECRET not in done.stdout + done.stderr
