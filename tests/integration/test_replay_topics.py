"""Replays over topics as they get: compacted, with transactions, cut by retention, grown, made again; and redrives."""

import signal
from collections import Counter
from typing import Any

import orjson
import pytest
import redis
from confluent_kafka import Producer

from deploy.local import LocalStack
from schemas import decode_verdict
from testkit.records import InputRecord
from testkit.topics import Topics
from tests.bad_inputs import bad_inputs
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.replay_rig import ReplayRig
from worker.cache.values import cache_key

pytestmark = pytest.mark.services


def test_gaps_tombstones_and_transaction_markers_are_passed_and_the_account_still_balances(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    replays: ReplayRig,
    cache: "redis.Redis",
    sample_chats: list[dict[str, Any]],
) -> None:
    """Offsets that hold no record, in the middle and at the very end, must neither hang a replay nor count as read."""
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "transactional.id": topics.events})
    producer.init_transactions(20)

    def transaction(chats: list[dict[str, Any]], *, commit: bool) -> None:
        producer.begin_transaction()
        for chat in chats:
            producer.produce(topics.events, orjson.dumps(chat), chat["chat_id"].encode(), partition=0)
        producer.flush(20)
        producer.commit_transaction(20) if commit else producer.abort_transaction(20)

    transaction(sample_chats[:5], commit=True)
    transaction(sample_chats[5:9], commit=False)
    erased = sample_chats[0]["chat_id"]
    ledger.send_raw([InputRecord(erased.encode(), None)], partition=0)
    transaction(sample_chats[9:12], commit=True)
    transaction(sample_chats[12:14], commit=False)
    ended = replays.run()
    # 5 + 3 verdicts, the tombstone as a dead letter, 6 aborted records and 4 markers.
    assert (ended["n_read"], ended["n_verdicts"], ended["n_dead_letters"]) == (9, 8, 1)
    assert (ended["n_without_record"], ended["n_lost"], ended["complete"]) == (10, 0, True)
    marker = orjson.loads(cache.get(cache_key(erased)))  # type: ignore[arg-type]  # one string, read at once
    assert (marker["rejected"], "decision" in marker) == ("tombstone", False)
    assert cache.exists(cache_key(sample_chats[1]["chat_id"]))


def test_offsets_that_compaction_took_are_passed(
    *, stack: LocalStack, ledger: LiveLedger, topics: Topics, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """A compacted topic keeps the last record of a key; what is gone was replaced, not lost."""
    compacted = f"{topics.events}-compacted"
    stack.kafka.create_topics(
        {compacted: 1},
        config={
            "cleanup.policy": "compact",
            "segment.ms": "1",
            "min.cleanable.dirty.ratio": "0.001",
            "max.compaction.lag.ms": "1",
        },
    )
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "enable.idempotence": True})
    for i in range(30):
        # Each flush is a batch of its own, so that segments roll.
        chat = sample_chats[i % 3]
        producer.produce(compacted, orjson.dumps({**chat, "event_id": i}), chat["chat_id"].encode())
        producer.flush(20)
    ledger.send(sample_chats[:3])
    ended = replays.run("--topic", compacted, "--topic", topics.events)
    by_topic = Counter(decode_verdict(record.value or b"").source.topic for record in replays.records())
    assert by_topic[topics.events] == 3
    # Whether the broker's cleaner has been here yet or not, each of the 30 offsets is accounted for.
    (row,) = [one for one in ended["partitions"] if one["topic"] == compacted]
    assert row["n_read"] + row["n_without_record"] == 30
    assert (row["n_verdicts"], row["n_lost"], row["complete"]) == (by_topic[compacted], 0, True)


def test_offsets_that_retention_deleted_are_counted_and_the_exit_code_says_so(
    ledger: LiveLedger, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """F20 for a backfill: before the range was fixed and while it was read."""
    ledger.send_raw(
        (InputRecord(chat["chat_id"].encode(), orjson.dumps(chat)) for chat in sample_chats[:60]), partition=0
    )
    replays.delete_before(0, 10)
    asked = ("--offsets", "0:4-60")
    first = replays.start(*asked, "--rate", "4")
    first.wait_for("batch_done")
    first.send(signal.SIGTERM)
    assert first.wait_exit() == 7, first.tail()
    n_judged = len(replays.records())
    replays.delete_before(0, 50)
    ended = replays.run(*asked, code=8)
    assert (ended["n_lost"], ended["n_verdicts"]) == (6 + (50 - 10 - n_judged), n_judged + 10)
    assert ended["complete"]
    assert replays.run(*asked, "--allow-lost")["n_lost"] == ended["n_lost"]


def test_partitions_that_a_topic_has_got_since_are_reported_and_not_read(
    *, stack: LocalStack, ledger: LiveLedger, topics: Topics, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """The range is fixed once; records of partitions that were not there then belong to another replay."""
    ledger.send(short_events(sample_chats, 200, n_chats=50))
    first = replays.start("--rate", "20")
    first.wait_for("batch_done")
    first.send(signal.SIGTERM)
    assert first.wait_exit() == 7, first.tail()
    replays.grow(6)
    chat = sample_chats[0]
    # The ledger's producer has not heard of the new partitions yet.
    fresh = Producer({"bootstrap.servers": stack.bootstrap_servers})
    fresh.produce(topics.events, orjson.dumps(chat), chat["chat_id"].encode(), partition=5)
    assert fresh.flush(20) == 0
    ended = replays.run()
    assert (ended["n_verdicts"], ended["n_partitions_added"], ended["complete"]) == (200, 2, True)


def test_a_topic_that_was_made_again_is_not_taken_for_the_old_one(
    stack: LocalStack, topics: Topics, replays: ReplayRig
) -> None:
    """Its offsets name other records: going on would judge the wrong ones and call it complete."""
    source = f"{topics.events}-again"
    stack.kafka.create_topics({source: 1})
    replays.run("--topic", source)
    replays.admin.delete_topics([source])[source].result(timeout=20)
    stack.kafka.create_topics({source: 1})
    told = replays.run("--topic", source, code=3)
    assert "deleted and made again since" in str(told)


@pytest.mark.chaos
def test_each_dead_letter_is_redriven_once_though_the_redrive_is_killed_on_the_way(
    *,
    ledger: LiveLedger,
    topics: Topics,
    start_worker: StartWorker,
    replays: ReplayRig,
    cache: "redis.Redis",
    sample_chats: list[dict[str, Any]],
) -> None:
    """F39: after the fix of a limit the good ones get verdicts, the bad ones fail again, and nothing goes round."""
    chats = sample_chats[:120]
    ledger.send(chats)
    bad = [one for one in bad_inputs() if one.reason is not None and one.value is not None and len(one.value) < 10_000]
    ledger.send_raw(InputRecord(b"bad", one.value) for one in bad)
    worker = start_worker(CODEC__MAX_EVENT_BYTES="10")
    ledger.wait_complete()
    assert worker.stop() == 0
    letters = ledger.dead_letters()
    assert len(letters) == len(ledger.sent)
    first = replays.start("--redrive", BATCH__MAX_RECORDS="10")
    first.wait_for("batch_done", count=2)
    first.kill()
    # Under another id it would begin behind the letters that are left, and say that all is well.
    passed = replays.run("--redrive", replay_id="passing", code=7)
    (left,) = passed["unfinished_redrives"]
    assert (passed["n_read"], left["replay_id"]) == (0, replays.replay_id)
    assert left["n_offsets_left"] > 0
    assert f"replay --redrive --replay-id {replays.replay_id}" in left["command"]
    ended = replays.run("--redrive")
    assert (ended["n_read"], ended["n_verdicts"], ended["n_dead_letters"]) == (len(letters), len(chats), len(bad))
    judged = replays.judged()
    assert {verdict.chat_id for verdict in judged.values()} == {chat["chat_id"] for chat in chats}
    for place, verdict in judged.items():
        assert verdict.source.topic == topics.events
        assert verdict.source.timestamp_ms == int(letters[place].headers["origin_timestamp_ms"])
        assert cache.exists(cache_key(verdict.chat_id))
    again = [record for record in replays.records(topics.dead_letters) if record.key == b"bad"]
    origins = Counter((record.headers["origin_partition"], record.headers["origin_offset"]) for record in again)
    assert set(origins.values()) == {2}
    assert all(record.headers["origin_topic"] == topics.events for record in again)
    # A later redrive begins behind this one: only what has failed since.
    later = replays.run("--redrive", replay_id="later", code=0)
    assert (later["n_read"], later["n_verdicts"], later["n_dead_letters"]) == (len(bad), 0, len(bad))


def test_a_plan_of_a_later_release_is_left_alone(
    *, stack: LocalStack, ledger: LiveLedger, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """After a rollback: its own id is refused, since nobody can tell what it stands for; others are replayed."""
    ledger.send(sample_chats[:5])
    later = orjson.dumps({"format_version": 99, "plan": {"of": "another form"}})
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers})
    producer.produce(replays.settings["MODERATION_KAFKA__REPLAY_TOPIC"], later, replays.replay_id.encode())
    assert producer.flush(20) == 0
    refused = replays.run(code=3)
    assert "of a format that this release does not know" in refused["log"]
    assert replays.run(replay_id=f"{replays.replay_id}-2")["n_verdicts"] == 5
    kept = [
        record
        for record in replays.records(replays.settings["MODERATION_KAFKA__REPLAY_TOPIC"])
        if record.value == later
    ]
    assert len(kept) == 1
