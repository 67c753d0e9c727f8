"""Chart, compose file and command create the same topics, under the names that the worker asks for."""

import itertools
import shlex
from typing import Any

import pytest
import yaml

from deploy.kafka.rights import command_line, rights_by_role
from deploy.kafka.topics import PATH, Topic, topics_of
from schemas.asyncapi import VERDICT_RETENTION_MS, asyncapi_document
from tests.deploy.chart import DEPLOY, MINIMAL, Helm, one
from worker.settings.kafka import KafkaSettings
from worker.settings.redis import RedisSettings

SETTINGS = KafkaSettings(bootstrap_servers="kafka:9092")
SERVERS = ["--bootstrap-server", "kafka:9092"]
MANY = 12
_DAY_MS = 86_400_000


def creation(words: list[str]) -> tuple[str, int, dict[str, str]]:
    """Return name, partitions and settings of a kafka-topics.sh command."""
    options = dict(itertools.pairwise(words))
    config = [word for option, word in itertools.pairwise(words) if option == "--config"]
    return options["--topic"], int(options["--partitions"]), dict(entry.split("=", 1) for entry in config)


def wanted(topics: list[Topic]) -> list[tuple[str, int, dict[str, str]]]:
    """Return the same of the list."""
    return [(topic.name, MANY if topic.partitions == "many" else topic.partitions, topic.config) for topic in topics]


def commands(script: str) -> list[list[str]]:
    """Return the words of each kafka-topics.sh command."""
    lines = [line for line in script.splitlines() if "--topic" in line]
    assert script.count("--create --if-not-exists") in {1, len(lines)}
    return [shlex.split(line) for line in lines]


def test_the_list_holds_every_topic_of_the_settings_under_its_default_name() -> None:
    """A topic that is added to the settings is created too."""
    listed = {topic["setting"]: topic["name"] for topic in yaml.safe_load(PATH.read_text("utf-8"))["topics"]}
    fields = KafkaSettings.model_fields
    assert listed == {name: field.default for name, field in fields.items() if name.endswith("_topic")}


def test_the_topic_of_replays_is_compacted() -> None:
    """Else a finished redrive would be forgotten, and its letters redriven."""
    (replays,) = [topic for topic in topics_of(SETTINGS) if topic.setting == "replay_topic"]
    assert (replays.partitions, replays.config) == (1, {"cleanup.policy": "compact"})


def test_verdicts_are_kept_for_longer_than_redis_keeps_them_and_are_never_compacted() -> None:
    """Compaction keeps the last verdict of a chat, and after a replay that is an old one."""
    (verdicts,) = [topic for topic in topics_of(SETTINGS) if topic.setting == "verdict_topic"]
    assert verdicts.config["cleanup.policy"] == "delete"
    assert int(verdicts.config["retention.ms"]) == VERDICT_RETENTION_MS > 1_000 * RedisSettings().ttl_s
    bindings = asyncapi_document()["channels"]["verdicts"]["bindings"]["kafka"]
    assert bindings["topicConfiguration"] == {"cleanup.policy": ["delete"], "retention.ms": VERDICT_RETENTION_MS}


def test_dead_letters_are_deleted_within_days_and_never_compacted() -> None:
    """They hold chat text; and a letter without a key would be refused by a compacted topic, with its whole batch."""
    (letters,) = [topic for topic in topics_of(SETTINGS) if topic.setting == "dead_letter_topic"]
    assert letters.config["cleanup.policy"] == "delete"
    # People need a weekend; the brokers' own default is seven days.
    assert 3 * _DAY_MS <= int(letters.config["retention.ms"]) < 7 * _DAY_MS


def test_the_compose_file_creates_every_topic() -> None:
    """Read from the very list would need a tool in Kafka's image that is not there; so it is compared."""
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    service = compose["services"]["topics"]
    script = service["command"][-1].replace("$$PARTITIONS", service["environment"]["PARTITIONS"])
    assert [creation(words) for words in commands(script)] == wanted(topics_of(SETTINGS))
    environment = compose["services"]["worker"]["environment"]
    for topic in topics_of(SETTINGS):
        assert environment[f"MODERATION_KAFKA__{topic.setting.upper()}"] == topic.name


@pytest.mark.parametrize("name", ["verdicts", "ad-verdicts"])
def test_the_chart_creates_every_topic_before_the_workers_start(helm: Helm, name: str) -> None:
    """With the names of the values; only where it is asked to."""
    assert not [manifest for manifest in helm.render(sets=MINIMAL) if manifest["kind"] == "Job"]
    sets = ("topics.create=true", "topics.adminSecret=admin", f"kafka.verdictTopic={name}")
    job = one(helm.render(sets=(*MINIMAL, *sets)), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    found = commands(container["command"][-1])
    assert [creation(words) for words in found] == wanted(
        topics_of(SETTINGS.model_copy(update={"verdict_topic": name}))
    )
    assert all("/etc/verdictstream/admin/client.properties" in words for words in found)


def test_rights_are_shown_as_commands_for_those_who_give_them_by_hand() -> None:
    """With the names of this deployment, and quoted for a shell."""
    settings = SETTINGS.model_copy(update={"group_id": "live"})
    shown = [
        shlex.split(command_line(right, "User:CN=a b", "kafka:9092")) for right in rights_by_role(settings)["worker"]
    ]
    assert all(words[1:3] == SERVERS for words in shown)
    assert all("User:CN=a b" in words for words in shown)
    prefixed = next(words for words in shown if "--transactional-id" in words)
    assert prefixed[-4:] == ["--transactional-id", "live.", "--resource-pattern-type", "prefixed"]
