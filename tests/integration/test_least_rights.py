"""deploy/kafka/acls.yaml: with all its rights worker and replay work, without any one of them they say which."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from console.pipeline.behind import Behind
from deploy.kafka.apply import create_topics
from deploy.kafka.rights import Right, bindings, rights_by_role
from deploy.kafka.topics import topics_of
from deploy.local import LocalStack
from testkit.console_process import PREFIX as CONSOLE
from testkit.console_process import ConsoleProcess
from testkit.reader import read_all
from testkit.records import InputRecord
from testkit.waiting import wait_until
from testkit.worker_process import child_environment
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.replay_rig import ReplayRig
from tests.integration.secured_kafka import Connection, SecuredKafka, kafka_settings, role_rights
from tests.integration.workers import run_command
from worker.errors import Fatal
from worker.kafka.client import KafkaConsumer, open_range_reader
from worker.kafka.config import consumer_config
from worker.kafka.probe import open_admin
from worker.kafka.written_together import KeyedRecord, write_together
from worker.settings.kafka import KafkaSettings
from worker.settings.source import read_settings

pytestmark = pytest.mark.services

EXIT_FATAL = 3
OFF = [name for name, field in KafkaSettings.model_fields.items() if name.endswith("_topic") and field.default is None]
"""Settings of the topics that are off by default; `opted` turns all of them on."""
READ_BY_CONSOLE = (
    "input_topic",
    "verdict_topic",
    "dead_letter_topic",
    "reviews_topic",
    "erasures_topic",
    "overrides_topic",
    "policies_topic",
)


def needed(role: str) -> list[Right]:
    """Return each single right without which a role does not work, with placeholders for names."""
    named = [name for name in KafkaSettings.model_fields if name.endswith(("_topic", "_id")) and name not in OFF]
    placeholders: dict[str, Any] = {name: f"{{{name}}}" for name in named}
    settings = KafkaSettings.model_construct(**placeholders)
    return [one for right in rights_by_role(settings)[role] if right.optional is None for one in right.single()]


def label(right: Right) -> str:
    """Return what a test is called by."""
    return f"{right.operations[0]} {right.resource} {right.name}"


@pytest.fixture(scope="module")
def stack(secured: SecuredKafka) -> LocalStack:
    """Put the secured broker in the place of the open one."""
    return secured.stack


@pytest.fixture
def user(secured: SecuredKafka) -> Iterator[Connection]:
    """Return a user without any right."""
    connection = secured.connection("scram")
    yield connection
    secured.disallow(connection.principal)


def without(rights: list[Right], index: int) -> tuple[list[Right], Right]:
    """Return the needed single rights but one, and that one."""
    single = [one for right in rights if right.optional is None for one in right.single()]
    return [*single[:index], *single[index + 1 :]], single[index]


@pytest.mark.parametrize("index", range(len(needed("worker"))), ids=map(label, needed("worker")))
def test_a_right_that_the_worker_lacks_is_named(
    index: int,
    secured: SecuredKafka,
    user: Connection,
    settings: Settings,
    start_worker: StartWorker,
) -> None:
    """So the list holds nothing that is not needed, and whoever set up the cluster reads what to grant."""
    left, missing = without(role_rights(settings, "worker"), index)
    secured.allow(bindings(left, user.principal))
    worker = start_worker(**user.settings)
    assert worker.wait_exit(timeout_s=100) == EXIT_FATAL
    (line,) = worker.events("worker_fatal")
    assert missing.name in line["error"]
    assert missing.operations[0].title() in line["error"]


def test_the_worker_does_without_the_optional_rights(  # noqa: PLR0917  fixtures
    secured: SecuredKafka,
    user: Connection,
    settings: Settings,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """At-least-once delivery too needs none of its own: Write on a topic includes writing idempotently."""
    rights = role_rights(settings, "worker")
    assert any(right.optional for right in rights)
    secured.allow(bindings([right for right in rights if right.optional is None], user.principal))
    worker = start_worker(**user.settings, KAFKA__DELIVERY="at_least_once")
    ledger.send(sample_chats[:5])
    ledger.wait_complete()
    assert worker.events("topic_limit_unknown")
    assert worker.stop() == 0


@pytest.fixture
def opted(secured: SecuredKafka, settings: Settings, n_partitions: int) -> Settings:
    """Return the settings with every topic on that is off by default, all of them made as the list has them."""
    mark = settings["MODERATION_KAFKA__GROUP_ID"]
    on = settings | {f"MODERATION_KAFKA__{name.upper()}": f"{mark}-{name}" for name in OFF}
    kafka = kafka_settings(on)
    wanted = [topic for topic in topics_of(kafka) if topic.setting in OFF]
    create_topics(secured.admin, wanted, n_partitions=n_partitions, copies=1)
    return on | {"MODERATION_ERASURE__HASH_KEY": "a-key-of-32-characters-and-a-bit"}


def test_a_worker_with_every_topic_on_works_with_its_rights(  # noqa: PLR0917  fixtures
    secured: SecuredKafka,
    user: Connection,
    opted: Settings,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Thresholds, states, people's decisions, reviews, and a tombstone's chat on the list of erased ones."""
    secured.allow(bindings(role_rights(opted, "worker"), user.principal))
    named = {
        name.removeprefix("MODERATION_"): value for name, value in opted.items() if name.endswith(("TOPIC", "KEY"))
    }
    worker = start_worker(**named, **user.settings)
    ledger.send(sample_chats[:5])
    ledger.send_raw([InputRecord(b"chat-1", None)])
    ledger.wait_complete()
    assert worker.stop() == 0
    erasures = kafka_settings(opted).erasures_topic
    assert erasures is not None
    assert len(read_all(secured.stack.bootstrap_servers, [erasures])) == 1


def test_an_erasure_works_with_its_rights_and_names_the_one_that_it_lacks(
    secured: SecuredKafka, user: Connection, opted: Settings, ledger: LiveLedger
) -> None:
    """The one role that may take away what others wrote: it may do no more than that."""
    ledger.send_raw([InputRecord(b"chat-1", b"{}")])
    rights = role_rights(opted, "erase")
    told = opted | {f"MODERATION_{name}": value for name, value in user.settings.items()}
    secured.allow(bindings(rights, user.principal))
    done = run_command("erase", "chat-1", "--json", settings=told)
    assert done.returncode == 0, done.stderr
    secured.disallow(user.principal)
    may_not_write = [
        right for right in rights if (right.name, right.operations) != (ledger.topics.events, ("READ", "WRITE"))
    ]
    reads = Right(resource="topic", name=ledger.topics.events, operations=("READ",))
    secured.allow(bindings([*may_not_write, reads], user.principal))
    refused = run_command("erase", "chat-1", settings=told)
    assert refused.returncode == EXIT_FATAL
    assert f"writing to {ledger.topics.events}" in refused.stderr
    assert "grant" in refused.stderr


def test_a_projection_works_with_its_rights(
    secured: SecuredKafka,
    user: Connection,
    settings: Settings,
    ledger: LiveLedger,
) -> None:
    """It reads what was published, and joins no group."""
    ledger.send_raw([InputRecord(b"chat-1", b"{}")])
    secured.allow(bindings(role_rights(settings, "project"), user.principal))
    changed = {f"MODERATION_{name}": value for name, value in user.settings.items()}
    done = run_command("project", settings=settings | changed)
    assert done.returncode == 0, done.stderr
    assert '"n_written":0' in done.stdout


def test_an_explanation_works_with_its_rights(
    secured: SecuredKafka, user: Connection, settings: Settings, ledger: LiveLedger
) -> None:
    """It reads what was published of one chat, joins no group and writes nothing."""
    ledger.send_raw([InputRecord(b"chat-1", b"{}")])
    secured.allow(bindings(role_rights(settings, "explain"), user.principal))
    changed = {f"MODERATION_{name}": value for name, value in user.settings.items()}
    done = run_command("explain", "chat-1", settings=settings | changed)
    assert done.returncode == 5, done.stdout + done.stderr
    assert "no outcome of chat 'chat-1'" in done.stderr


def _written(settings: KafkaSettings) -> dict[str, bool]:
    """Return which topics of a deployment a user may write to, in a transaction as the console's outbox does."""
    found = {}
    for name in ("input_topic", "verdict_topic", "dead_letter_topic", *OFF):
        topic = getattr(settings, name)
        own = f"{settings.group_id}.override.{name}"
        try:
            write_together(settings, [KeyedRecord(topic, b"chat-1", b"{}")], transactional_id=own)
        except Fatal:
            found[name] = False
        else:
            found[name] = True
    return found


def _is_read(reader: KafkaConsumer, topic: str) -> bool:
    """Say whether a reader gets to a record, or to the end, of a topic's first partition."""
    reader.assign([TopicPartition(topic, 0, 0)])
    message = wait_until(lambda: reader.poll(1), timeout_s=60, what=lambda: f"{topic} cannot be read")
    error = message.error()
    return error is None or error.code() == KafkaError._PARTITION_EOF


def test_a_console_reads_what_it_shows_and_writes_what_people_decide_and_no_more(
    secured: SecuredKafka, user: Connection, opted: Settings, ledger: LiveLedger
) -> None:
    """A console that was taken over publishes no verdict, and asks nobody for a review."""
    ledger.send_raw([InputRecord(b"chat-1", b"{}")])
    secured.allow(bindings(role_rights(opted, "console"), user.principal))
    told = opted | {f"MODERATION_{name}": value for name, value in user.settings.items()}
    kafka = kafka_settings(told)
    assert {name for name, is_written in _written(kafka).items() if is_written} == {
        "overrides_topic",
        "decisions_topic",
        "feedback_topic",
    }
    done = run_command("explain", "chat-1", settings=told)
    assert done.returncode == 5, done.stdout + done.stderr
    admin, topics = open_admin(kafka), [getattr(kafka, name) for name in READ_BY_CONSOLE]
    behind = Behind(read_settings(told, None)).records({(topic, 0): 0 for topic in topics})
    # A transaction is followed by its own marker.
    assert behind[str(kafka.overrides_topic)] in {0, 2}
    assert set(behind) == set(topics)
    reader = open_range_reader(consumer_config(kafka) | {"group.id": f"{kafka.group_id}.console-test"})
    for topic in topics:
        assert _is_read(reader, topic), topic
    reader.close()
    listed = run_command("override", "list", settings=told)
    assert listed.returncode == 0, listed.stderr
    group = admin.describe_consumer_groups([kafka.group_id])[kafka.group_id]
    assert group.result(20).group_id == kafka.group_id


def test_a_console_runs_with_its_rights_and_no_page_lacks_one(
    secured: SecuredKafka, user: Connection, opted: Settings, ledger: LiveLedger, tmp_path: Path
) -> None:
    """Intake, outbox, live tail, lag, histories, past verdicts, shadow: whoever is refused says so in the log."""
    ledger.send_raw([InputRecord(b"chat-1", b"{}")])
    secured.allow(bindings(role_rights(opted, "console"), user.principal))
    told = opted | {f"MODERATION_{name}": value for name, value in user.settings.items()}
    variables = {
        f"{CONSOLE}PIPELINE__IS_ON": "true",
        f"{CONSOLE}STORE__URL": f"sqlite:///{tmp_path / 'console.sqlite3'}",
    }
    console = ConsoleProcess(child_environment(os.environ, told | variables), tmp_path)
    try:
        address = console.address()
        origin = {"origin": address}
        wait_until(lambda: '"doing": "following"' in console.log_path.read_text(), timeout_s=60, what=console.tail)
        wait_until(lambda: '"live_caught_up"' in console.log_path.read_text(), timeout_s=60, what=console.tail)
        for method, path, body in (
            ("GET", "/live/state", None),
            ("GET", "/chat/history?id=chat-1", None),
            ("GET", "/model/shadow", None),
            ("POST", "/policy/verdicts", {"period": "day"}),
        ):
            status, _ = console.ask(method, path, body, headers=origin)
            assert status == 200, (path, console.tail())
        wait_until(lambda: '"past_verdicts_read"' in console.log_path.read_text(), timeout_s=60, what=console.tail)
        status, _ = console.ask("GET", "/v1/overrides?chat_id=chat-1", headers=origin)
        assert status in {200, 404}
    finally:
        console.stop()
    log = console.log_path.read_text()
    assert "AUTHORIZATION" not in log, log
    assert '"level": "warning"' not in log, log


def test_a_member_may_ask_what_its_coordinator_has_told_it(
    secured: SecuredKafka, user: Connection, settings: Settings, start_worker: StartWorker
) -> None:
    """KIP-848: reading with a group and from its topics includes describing both (`worker.kafka.assignment_check`)."""
    rights = role_rights(settings, "worker")
    secured.allow(bindings([right for right in rights if right.optional is None], user.principal))
    worker = start_worker(**user.settings, KAFKA__GROUP_PROTOCOL="consumer")
    worker.wait_until_it_owns_partitions()
    admin, group = open_admin(kafka_settings(worker.environment)), settings["MODERATION_KAFKA__GROUP_ID"]
    (member,) = admin.describe_consumer_groups([group])[group].result(20).members
    assert len(member.target_assignment.topic_partitions) == worker.events("partitions_changed")[-1]["n_assigned"]
    assert worker.stop() == 0


def test_a_right_that_is_taken_away_ends_the_worker_with_its_name(  # noqa: PLR0917  fixtures
    secured: SecuredKafka,
    user: Connection,
    settings: Settings,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F19: nothing of the batch is committed, and nobody has to guess."""
    secured.allow(bindings(role_rights(settings, "worker"), user.principal))
    worker = start_worker(**user.settings)
    worker.wait_joined()
    secured.disallow(user.principal)
    ledger.send(sample_chats[:5])
    assert worker.wait_exit(timeout_s=100) == EXIT_FATAL
    (line,) = worker.events("worker_fatal")
    assert "grant" in line["error"]
    assert ledger.read() == []


def replay_rights(replays: ReplayRig) -> list[Right]:
    """Return the rights of a replay that writes where the live workers write."""
    return role_rights(replays.settings, "replay")


def test_a_replay_a_comparison_and_a_redrive_work_with_the_least_rights(  # noqa: PLR0917  fixtures
    secured: SecuredKafka,
    user: Connection,
    settings: Settings,
    ledger: LiveLedger,
    start_worker: StartWorker,
    replays: ReplayRig,
    sample_chats: list[dict[str, Any]],
) -> None:
    """As a user of its own, which may not touch the live workers' group."""
    live = secured.connection("scram")
    secured.allow(bindings(role_rights(settings, "worker"), live.principal))
    worker = start_worker(**live.settings)
    ledger.send(sample_chats[:20])
    ledger.send_raw([InputRecord(b"bad", b"{")])
    ledger.wait_complete()
    secured.allow(bindings(replay_rights(replays), user.principal))
    into_live = ("--verdict-topic", ledger.topics.verdicts)
    account = replays.run("--compare", "--priority", "low", *into_live, replay_id="compare", **user.settings)
    assert (account["n_verdicts"], account["n_dead_letters"]) == (20, 1)
    again = replays.run("--redrive", *into_live, replay_id="redrive", **user.settings)
    # The letter of the live worker and that of the first replay.
    assert again["n_dead_letters"] == 2
    assert worker.stop() == 0


@pytest.mark.parametrize("index", range(len(needed("replay"))), ids=map(label, needed("replay")))
def test_a_right_that_a_replay_lacks_is_named(
    index: int, secured: SecuredKafka, user: Connection, ledger: LiveLedger, replays: ReplayRig
) -> None:
    """One try of each kind that needs the right, until it is told of."""
    ledger.send_raw([InputRecord(b"bad", b"{")])
    left, missing = without(replay_rights(replays), index)
    secured.allow(bindings(left, user.principal))
    into_live = ("--verdict-topic", ledger.topics.verdicts)
    kind = "--redrive" if missing.name == ledger.topics.dead_letters and "READ" in missing.operations else "--compare"
    told = replays.run(kind, "--priority", "low", *into_live, code=EXIT_FATAL, **user.settings)
    assert missing.name in told["log"]
    assert missing.operations[0].title() in told["log"]
