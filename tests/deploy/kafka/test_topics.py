"""Chart, compose file and command create the same topics, under the names that the worker asks for."""

import itertools
import shlex
from typing import Any

import pytest
import yaml

from deploy.kafka.rights import command_line, rights_by_role
from deploy.kafka.topics import PATH, Topic, topics_of
from schemas.asyncapi import VERDICT_RETENTION_MS, asyncapi_document
from tests.deploy.chart import DEPLOY, MINIMAL, Helm, environment, one
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


def proposed() -> dict[str, str]:
    """Return the name that the list has for each setting."""
    return {topic["setting"]: topic["name"] for topic in yaml.safe_load(PATH.read_text("utf-8"))["topics"]}


def off_by_default() -> list[str]:
    """Return the settings of topics that are off until they are named."""
    fields = KafkaSettings.model_fields
    return [name for name in fields if name.endswith("_topic") and fields[name].default is None]


ALL_ON = SETTINGS.model_copy(update={name: proposed()[name] for name in off_by_default()})
"""Every topic in use, under the names of the list."""


def test_the_list_holds_every_topic_of_the_settings_under_its_default_name() -> None:
    """A topic that is added to the settings is created too; the name to give it stands in its description."""
    listed, fields = proposed(), KafkaSettings.model_fields
    assert listed.keys() == {name for name in fields if name.endswith("_topic")}
    for name, topic in listed.items():
        assert fields[name].default in {topic, None}
        assert fields[name].default is not None or f"`{topic}`" in str(fields[name].description)
    assert len(set(listed.values())) == len(listed)


def test_a_topic_that_is_off_is_neither_created_nor_granted() -> None:
    """A right on a topic that nobody uses would be one that nobody misses."""
    assert {topic.setting for topic in topics_of(SETTINGS)}.isdisjoint(off_by_default())
    assert {topic.setting for topic in topics_of(ALL_ON)} == proposed().keys()
    names = {proposed()[name] for name in off_by_default()}
    for settings, granted in ((SETTINGS, set()), (ALL_ON, names)):
        rights = [right.name for role in rights_by_role(settings).values() for right in role]
        assert not [name for name in rights if "None" in name]
        assert names & set(rights) == granted


def test_workers_may_not_write_what_people_decide() -> None:
    """A worker that was taken over could else allow a chat in a person's name, and leave no trace of it."""
    writers = {
        role
        for role, rights in rights_by_role(ALL_ON).items()
        for right in rights
        if right.name in {"verdict-overrides", "verdict-decisions"} and "WRITE" in right.operations
    }
    assert writers == {"reviewer", "console", "erase"}


def test_what_names_chats_and_is_kept_by_key_forgets_within_days() -> None:
    """Without a bound on the compaction's lag the newest segment of a quiet partition keeps a chat for ever."""
    for topic in topics_of(ALL_ON):
        if topic.setting in {"state_topic", "overrides_topic"}:
            assert topic.config["cleanup.policy"] == "compact"
            assert int(topic.config["max.compaction.lag.ms"]) <= _DAY_MS >= int(topic.config["delete.retention.ms"])


def test_what_goes_by_age_goes_within_a_day_of_it() -> None:
    """A segment is deleted as a whole: Kafka's own week of records in one would add a week to every retention."""
    by_age = [topic for topic in topics_of(ALL_ON) if topic.config.get("cleanup.policy") == "delete"]
    assert {topic.setting for topic in by_age} >= {"verdict_topic", "dead_letter_topic", "reviews_topic"}
    assert all(int(topic.config["segment.ms"]) <= _DAY_MS for topic in by_age)


def test_the_state_has_as_many_partitions_as_the_input() -> None:
    """Whoever owns a partition of the input restores the one of the same number."""
    (state,) = [topic for topic in topics_of(ALL_ON) if topic.setting == "state_topic"]
    assert state.partitions == "many"


def test_the_topic_of_replays_is_compacted() -> None:
    """Else a finished redrive would be forgotten, and its letters redriven."""
    (replays,) = [topic for topic in topics_of(SETTINGS) if topic.setting == "replay_topic"]
    assert (replays.partitions, replays.config) == (1, {"cleanup.policy": "compact"})


def test_the_asyncapi_document_describes_every_topic_as_it_is_made() -> None:
    """But for that of the replays, which is theirs alone."""
    channels = [one for one in asyncapi_document()["channels"].values() if "kafka" in one.get("bindings", {})]
    described = {one["address"]: one["bindings"]["kafka"].get("topicConfiguration", {}) for one in channels}
    made = {topic.name: topic.config for topic in topics_of(ALL_ON) if topic.setting != "replay_topic"}
    assert described.keys() == made.keys()
    for name, configuration in described.items():
        for key, value in configuration.items():
            assert made[name][key] == (",".join(value) if isinstance(value, list) else str(value)), (name, key)


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
    assert [creation(words) for words in commands(script)] == wanted(topics_of(ALL_ON))
    given = compose["services"]["worker"]["environment"]
    named = {topic.setting: given.get(f"MODERATION_KAFKA__{topic.setting.upper()}") for topic in topics_of(ALL_ON)}
    # Workers neither read nor write two of them, and the list of erased chats needs a secret.
    unused = {"decisions_topic", "feedback_topic", "erasures_topic"}
    assert named == {name: None if name in unused else topic for name, topic in proposed().items()}


def test_the_chart_creates_and_names_what_is_off_by_default_once_it_is_on(helm: Helm) -> None:
    """Each under the name that is given; workers and replays are told the same."""
    values = {f"kafka.{name.split('_')[0]}Topic": f"my-{proposed()[name]}" for name in off_by_default()}
    sets = (*(f"{value}={topic}" for value, topic in values.items()), "topics.create=true", "erasure.existingSecret=e")
    manifests = helm.render(sets=(*MINIMAL, *sets))
    (container,) = one(manifests, "Job")["spec"]["template"]["spec"]["containers"]
    created = [creation(words) for words in commands(container["command"][-1])]
    mine = SETTINGS.model_copy(update={name: f"my-{proposed()[name]}" for name in off_by_default()})
    assert created == wanted(topics_of(mine))
    pod = one(manifests, "Deployment")["spec"]["template"]["spec"]
    for name in off_by_default():
        assert environment(pod)[f"MODERATION_KAFKA__{name.upper()}"] == f"my-{proposed()[name]}"
    off = one(helm.render(sets=MINIMAL), "Deployment")["spec"]["template"]["spec"]
    assert not [
        name for name in environment(off) if name.removeprefix("MODERATION_KAFKA__").lower() in off_by_default()
    ]


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
