"""What operators meet: lost offsets, missing topics, brokers away, probes, metrics, look-ups, exit codes."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from deploy.local.ports import LOOPBACK, free_ports
from schemas import encode_verdict
from testkit.records import InputRecord, Place
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.bad_inputs import bad_inputs
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples, status_of
from tests.integration.workers import run_command
from tests.schemas.payloads import make_verdict
from worker.cache.values import cache_key
from worker.kafka.retry import PATIENCE_S

pytestmark = pytest.mark.services


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's health endpoints."""
    return free_ports(1)[0]


def test_a_second_run_over_the_same_events_is_served_from_the_cache(
    ledger: LiveLedger, settings: Settings, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """A new group reads everything again, and nothing is classified twice."""
    ledger.send(sample_chats[:100])
    first_run = start_worker()
    ledger.wait_complete()
    assert first_run.stop() == 0
    second_run = start_worker(KAFKA__GROUP_ID=settings["MODERATION_KAFKA__GROUP_ID"] + "-again")
    n_events = len(ledger.sent)
    wait_until(lambda: len(ledger.seen) >= 2 * n_events, timeout_s=60, what=second_run.tail)
    ids: dict[Place, list[tuple[str, bool]]] = {}
    for place, verdict in ledger.all_verdicts():
        ids.setdefault(place, []).append((verdict.verdict_id, verdict.cache_hit))
    assert all(
        sorted(hit for _, hit in pair) == [False, True] and len({name for name, _ in pair}) == 1
        for pair in ids.values()
    )
    assert sum(event["n_cached"] for event in second_run.events("batch_done")) == n_events


def _lose_records(
    stack: LocalStack, ledger: LiveLedger, topics: Topics, start_worker: StartWorker, chats: list[dict[str, Any]]
) -> int:
    """Let a worker commit 30 records of a partition, write 30 more, delete 20 of them unread; return what is left."""
    records = [InputRecord(chat["chat_id"].encode(), orjson.dumps(chat)) for chat in chats[:60]]
    ledger.send_raw(records[:30], partition=0)
    worker = start_worker()
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.send_raw(records[30:], partition=0)
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    (deleted,) = admin.delete_records([TopicPartition(topics.events, 0, 50)]).values()
    deleted.result(timeout=20)
    for offset in range(30, 50):
        del ledger.sent[Place(topics.events, 0, offset)]
    return 20


def test_a_lost_offset_range_stops_the_worker_and_says_how_many_records_are_gone(
    stack: LocalStack, ledger: LiveLedger, topics: Topics, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F20: retention overtook the worker; a silent jump would leave chats without a verdict and nobody would know."""
    n_lost = _lose_records(stack, ledger, topics, start_worker, sample_chats)
    worker = start_worker(KAFKA__LOST_OFFSETS="stop")
    assert worker.wait_exit() == 3
    assert worker.events("offsets_lost")[0]["n_lost"] == n_lost
    (fatal,) = worker.events("worker_fatal")
    assert f"{n_lost} records are lost" in fatal["error"]
    assert "MODERATION_KAFKA__LOST_OFFSETS" in fatal["error"]


def test_a_lost_offset_range_pauses_its_partition_and_the_others_go_on(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    port: int,
) -> None:
    """F20, by default: one partition's loss ended the whole group within 11 s. What is left is judged once accepted."""
    n_lost = _lose_records(stack, ledger, topics, start_worker, sample_chats)
    worker = start_worker(HTTP__PORT=str(port))
    n_before = len(ledger.sent) - (60 - 30 - n_lost)
    records = [InputRecord(chat["chat_id"].encode(), orjson.dumps(chat)) for chat in sample_chats[60:80]]
    ledger.send_raw(records, partition=1)
    ledger.wait_seen(n_before + 20)
    paused = worker.wait_for("partition_paused")
    assert (paused["partition"], worker.events("offsets_lost")[0]["n_lost"]) == (0, n_lost)
    place = (("partition", "0"), ("topic", topics.events))
    assert samples(port, "moderation_partition_paused") == {place: 1}
    assert samples(port, "moderation_lost_records_total") == {(): n_lost}
    wait_until(lambda: samples(port, "moderation_lag_records").get(place) == 10, timeout_s=20, what=worker.tail)
    assert status_of(port, "/readyz") == 200
    assert worker.stop() == 0
    start_worker(KAFKA__LOST_OFFSETS="count")
    ledger.wait_complete()
    ledger.assert_exactly_once()


def test_an_accepted_loss_is_counted_and_the_rest_is_judged(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    port: int,
) -> None:
    """F20, the other policy: going on is a decision of the operator, and the metric tells how much it cost."""
    n_lost = _lose_records(stack, ledger, topics, start_worker, sample_chats)
    start_worker(KAFKA__LOST_OFFSETS="earliest", HTTP__PORT=str(port))
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert samples(port, "moderation_lost_records_total") == {(): n_lost}


@pytest.mark.parametrize("name", ["INPUT_TOPIC", "VERDICT_TOPIC", "DEAD_LETTER_TOPIC"])
def test_a_missing_topic_ends_the_start_and_is_named(start_worker: StartWorker, name: str) -> None:
    """F21: a typo in a topic name must not look like a quiet day."""
    worker = start_worker(**{f"KAFKA__{name}": "no-such-topic"})
    assert worker.wait_exit() == 3
    assert "no-such-topic" in worker.events("worker_fatal")[0]["error"]


def test_a_topic_deleted_under_a_worker_ends_it_and_is_named(
    *,
    stack: LocalStack,
    topics: Topics,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Not at once, because brokers that come back say the same; but long before Kafka would count as away."""
    worker = start_worker()
    ledger.send(short_events(sample_chats, 5, n_chats=5))
    ledger.wait_complete()
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    admin.delete_topics([topics.events])[topics.events].result(timeout=20)
    fatal = worker.wait_for("worker_fatal", timeout_s=PATIENCE_S + 60)
    assert (worker.wait_exit(), fatal["exit_code"]) == (3, 3)
    assert topics.events in fatal["error"]
    assert "create the topic" in fatal["error"]


def test_a_broker_that_is_not_there_ends_the_start_with_the_address_and_the_remedy(start_worker: StartWorker) -> None:
    """F16 at start: whoever reads the log must see which address was tried."""
    address = f"{LOOPBACK}:{free_ports(1)[0]}"
    worker = start_worker(KAFKA__BOOTSTRAP_SERVERS=address, KAFKA__REQUEST_TIMEOUT_S="2")
    assert worker.wait_exit() == 3
    error = worker.events("worker_fatal")[0]["error"]
    assert address in error
    assert "MODERATION_KAFKA__BOOTSTRAP_SERVERS" in error


def test_a_broker_that_stays_away_ends_the_worker_after_the_stated_time(
    stack: LocalStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """Law 4: past a stated time the process exits non-zero, so that somebody else may try or look."""
    worker = start_worker(KAFKA__UNREACHABLE_EXIT_S="3", KAFKA__REQUEST_TIMEOUT_S="2", BATCH__MAX_RECORDS="40")
    ledger.send(short_events(sample_chats, 400, n_chats=200))
    worker.wait_for("batch_done", count=2)
    stack.kafka.stop_broker(0)
    try:
        assert worker.wait_exit() == 3
    finally:
        stack.kafka.start_broker(0)
    assert worker.events("worker_fatal")


def test_probes_and_metrics_tell_what_became_of_the_records(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """I6: every rejection is counted under its reason; alerts and autoscaling stand on these numbers."""
    worker = start_worker(HTTP__PORT=str(port))
    bad = [one for one in bad_inputs() if one.reason is not None]
    ledger.send(sample_chats[:10])
    ledger.send_raw(InputRecord(b"bad", one.value) for one in bad)
    ledger.wait_complete()
    expected: dict[tuple[tuple[str, str], ...], float] = {}
    for one in bad:
        label = (("reason", str(one.reason)),)
        expected[label] = expected.get(label, 0) + 1
    wait_until(
        lambda: samples(port, "moderation_records_total") == {(): len(ledger.sent)}, timeout_s=10, what=worker.tail
    )
    assert samples(port, "moderation_rejections_total") == expected
    assert sum(samples(port, "moderation_verdicts_total").values()) == 10
    assert samples(port, "moderation_kafka_up") == {(): 1}
    assert (status_of(port, "/livez"), status_of(port, "/readyz"), status_of(port, "/other")) == (200, 200, 404)


@pytest.mark.parametrize("n_partitions", [1])
def test_a_worker_without_partitions_is_ready(
    ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]], n_partitions: int
) -> None:
    """A spare worker is no broken worker: a rollout must not wait for it for ever."""
    ports = free_ports(n_partitions + 1)
    workers = [start_worker(HTTP__PORT=str(port)) for port in ports]
    for port, worker in zip(ports, workers, strict=True):
        wait_until(lambda port=port: status_of(port, "/readyz") == 200, timeout_s=60, what=worker.tail)  # type: ignore[misc]
    ledger.send(sample_chats[:10])
    ledger.wait_complete()
    assert sorted(sum(samples(port, "moderation_assigned_partitions").values()) for port in ports) == [0, 1]


def test_show_prints_the_cached_verdict(
    ledger: LiveLedger, settings: Settings, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """Whoever asks why a chat got no ad needs the answer in one command."""
    chat_id = sample_chats[0]["chat_id"]
    ledger.send(sample_chats[:1])
    start_worker()
    ledger.wait_complete()
    (verdict,) = ledger.verdicts().values()
    as_json = run_command("show", chat_id, "--json", settings=settings)
    assert (as_json.returncode, orjson.loads(as_json.stdout)["verdict_id"]) == (0, verdict.verdict_id)
    for_people = run_command("show", chat_id, settings=settings)
    assert for_people.returncode == 0
    assert all(text in for_people.stdout for text in (chat_id, verdict.decision.value, verdict.category.name))


@pytest.mark.parametrize("chat_id", ["never-seen", "[/b] chat [red]"])
def test_show_says_where_there_is_no_verdict(settings: Settings, chat_id: str) -> None:
    """Exit code 5: not judged is another answer than not reachable."""
    answer = run_command("show", chat_id, settings=settings)
    assert answer.returncode == 5
    assert chat_id in answer.stderr


def test_show_prints_a_chat_id_that_looks_like_markup(settings: Settings, cache: "redis.Redis") -> None:
    """A chat id comes from outside: brackets in it are text, not formatting."""
    chat_id = "[/b] chat [red]"
    cache.set(cache_key(chat_id), encode_verdict(make_verdict(chat_id=chat_id)))
    answer = run_command("show", chat_id, settings=settings)
    assert answer.returncode == 0, answer.stderr
    assert chat_id in answer.stdout


def test_show_says_that_redis_is_away(settings: Settings) -> None:
    """Exit code 6, and no password of the address in the output."""
    url = f"redis://:hunter2@{LOOPBACK}:{free_ports(1)[0]}/0"
    answer = run_command("show", "chat-1", settings=settings | {"MODERATION_REDIS__URL": url})
    assert answer.returncode == 6
    assert "MODERATION_REDIS__URL" in answer.stderr
    assert "hunter2" not in answer.stdout + answer.stderr


def test_logs_hold_no_chat_text(ledger: LiveLedger, start_worker: StartWorker) -> None:
    """Logs are read by many and kept for long; chat text stays in the topics."""
    canary = "zanzibar-canary-7f3a"
    events = [
        {"chat_id": f"c{i}", "messages": [{"role": "user", "content": f"{canary} {canary.encode().hex()} {i}"}]}
        for i in range(20)
    ]
    ledger.send(events)
    ledger.send_raw(
        InputRecord(b"bad", one.value.replace(b"phone", canary.encode()))
        for one in bad_inputs()
        if one.value is not None and len(one.value) < 10_000
    )
    worker = start_worker(LOG__LEVEL="debug")
    ledger.wait_complete()
    assert worker.stop() == 0
    text = Path(worker.log_path).read_text()
    assert not re.search(canary, text, re.IGNORECASE)
    for letter in ledger.dead_letters().values():
        assert canary not in letter.headers["error"]
