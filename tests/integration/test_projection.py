"""`worker project` against real topics and a real Redis: it shows what the topics say, whatever it held before."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import redis
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from deploy.local import LocalStack
from schemas import ModelRef, PolicyRef, Source, encode_verdict
from testkit.records import InputRecord
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import (
    ALLOWED,
    BANNED,
    chats,
    newest_outcomes,
    shown,
    wait_until_redis_shows_the_newest,
)
from tests.integration.workers import run_command
from tests.schemas.payloads import make_verdict
from worker.cache.connection import connect
from worker.cache.entries import Entry, marker_entry
from worker.cache.outcome_order import Outcome, Versions, is_newer
from worker.cache.values import cache_key
from worker.cache.verdict_cache import RedisVerdictCache
from worker.process.metrics import Metrics
from worker.settings.redis import RedisSettings

pytestmark = pytest.mark.services

N_CHATS = 60


def project(settings: Settings, *options: str, code: int = 0, **overrides: str) -> dict[str, Any]:
    """Run the command and return its account, or what it said instead."""
    changed = {f"MODERATION_{name}": value for name, value in overrides.items()}
    done = run_command("project", *options, settings=settings | changed)
    assert done.returncode == code, done.stdout + done.stderr
    return orjson.loads(done.stdout.splitlines()[-1]) if code == 0 else {"log": done.stderr}


@pytest.fixture
def judged(ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker) -> None:
    """Let a worker judge three turns of the chats: allowed, then two thirds of them banned, rejected or erased."""
    worker = start_worker()
    ledger.send(chats(N_CHATS, ALLOWED))
    ledger.send(chats(N_CHATS // 3, BANNED))
    rejected = [f"chat-{i}" for i in range(N_CHATS // 3, N_CHATS // 2)]
    ledger.send_raw(
        InputRecord(chat.encode(), orjson.dumps({"chat_id": chat, "messages": "no list"})) for chat in rejected
    )
    erased = [f"chat-{i}" for i in range(N_CHATS // 2, 2 * N_CHATS // 3)]
    ledger.send_raw(InputRecord(chat.encode(), None) for chat in erased)
    ledger.wait_complete()
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=5)
    assert worker.stop() == 0


@pytest.mark.usefixtures("judged")
def test_an_empty_redis_is_filled_and_a_stale_one_repaired(
    settings: Settings, ledger: LiveLedger, cache: "redis.Redis"
) -> None:
    """A lost Redis would cost each chat its verdict until the chat grows; a stale one costs worse."""
    expected = newest_outcomes(ledger)
    old = {key: cache.get(key) for key in cache.scan_iter(match=cache_key("*"), count=1_000)}
    cache.flushall()
    account = project(settings)
    assert shown(cache) == expected
    n_rejected = N_CHATS // 3 + 0
    assert account == account | {
        "event": "project_ended",
        "dead_letters_complete_from": None,
        "n_verdicts_read": N_CHATS + N_CHATS // 3,
        "n_dead_letters_read": n_rejected,
        "n_unreadable": 0,
        "n_chats": N_CHATS,
        "n_written": N_CHATS,
        "n_newer_there": 0,
        "n_markers": n_rejected,
        "n_expired": 0,
    }
    for key, value in old.items():
        assert value is not None
        earlier = orjson.loads(value)  # type: ignore[arg-type]  # the client is synchronous
        earlier["source"]["offset"] = 0
        cache.set(key, orjson.dumps(earlier))
    project(settings)
    assert shown(cache) == expected
    # And what is newer than the topics' end stays.
    newer = orjson.loads(cache.get(cache_key("chat-1")) or b"")  # type: ignore[arg-type]
    newer["source"]["offset"] += 1_000
    cache.set(cache_key("chat-1"), orjson.dumps(newer))
    assert project(settings)["n_newer_there"] == 1
    assert shown(cache)["chat-1"][1] == newer["source"]["offset"]


@pytest.mark.usefixtures("judged")
def test_a_verdict_keeps_the_time_that_it_had_left(settings: Settings, cache: "redis.Redis") -> None:
    """Else each projection would make old verdicts young."""
    cache.flushall()
    assert project(settings, REDIS__TTL_S="3000")["n_written"] == N_CHATS
    assert all(2_500 < int(cache.ttl(key)) < 3_000 for key in cache.scan_iter())  # type: ignore[arg-type]
    cache.flushall()
    account = project(settings, "--from-time", "2020-01-01", REDIS__TTL_S="1")
    assert (account["n_written"], account["n_expired"]) == (0, N_CHATS)


@pytest.mark.usefixtures("judged")
def test_a_start_before_deleted_dead_letters_is_refused(
    stack: LocalStack, settings: Settings, ledger: LiveLedger, cache: "redis.Redis"
) -> None:
    """The rejected chats' older verdicts would come back, each an `allow` on what nobody judged."""
    began = datetime.now(UTC) - timedelta(hours=1)
    project(settings, "--from-time", began.isoformat())
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    ends = [(letter.partition, letter.offset + 1) for letter in ledger.dead_letters().values()]
    wanted = [
        TopicPartition(ledger.topics.dead_letters, partition, end) for partition, end in dict(sorted(ends)).items()
    ]
    for done in admin.delete_records(wanted).values():
        done.result(timeout=20)
    # Everything that was deleted may be as young as the topic's retention.
    refused = project(settings, "--from-time", "2020-01-01", code=2)
    assert "were deleted" in refused["log"]
    cache.flushall()
    account = project(settings)
    assert account["dead_letters_complete_from"] is not None


def test_redis_that_does_not_answer_ends_the_command(settings: Settings) -> None:
    """Before an hour of reading."""
    told = project(settings, code=6, REDIS__URL="redis://127.0.0.1:1/0")
    assert "project_cache_away" in told["log"]


def _verdict(
    offset: int, timestamp_ms: int, partition: int, versions: Versions, revision: int = 0
) -> tuple[Entry, Outcome]:
    source = Source(topic="live", partition=partition, offset=offset, timestamp_ms=timestamp_ms)
    verdict = make_verdict(
        source=source,
        model=ModelRef(name=versions.model_name, version=versions.model_version, digest=f"sha256:{'cd' * 32}"),
        policy=PolicyRef(name=versions.policy_name, version=versions.policy_version),
        override_revision=revision,
    )
    place = ("verdicts", 0, offset)
    return Entry("chat-1", encode_verdict(verdict), source), Outcome(
        "live", partition, offset, timestamp_ms, place, 0, versions=versions, revision=revision
    )


def test_the_projection_and_the_script_agree_on_which_outcome_is_newer(stack: LocalStack, cache: "redis.Redis") -> None:
    """The rule stands in Lua and in Python; where they differ, a projection would bring back what was superseded."""
    settings = RedisSettings(url=SecretStr(stack.redis_url), timeout_s=2)
    verdicts = RedisVerdictCache(connect(settings), settings, Metrics())
    versions = [
        Versions(*text.split())
        for text in ("m 1.9 p 1", "m 1.10 p 1", "m 1.10.0 p 2", "n 1 p 1", "m 1.9 q 1", "m 1.9 p 10", "m 2 p 1")
    ]
    outcomes = [
        _verdict(offset, timestamp_ms, partition, one)
        for offset, timestamp_ms, partition in ((5, 10, 0), (6, 9, 0), (2, 10, 1), (9, 8, 1))
        for one in versions
    ]
    outcomes += [
        _verdict(5, 10, 0, Versions("m", version, "p", "1"), revision)
        for version in ("1", "3")
        for revision in (7, 1_767_323_045_000, 1_767_323_045_001)
    ]
    for offset in (5, 6):
        source = Source(topic="live", partition=0, offset=offset, timestamp_ms=10)
        outcomes.append(
            (
                marker_entry("chat-1", source, "schema_error"),
                Outcome("live", 0, offset, 10, ("dlq", 0, offset), 0, rejected="schema_error"),
            )
        )
    for there, old in outcomes:
        for written, new in outcomes:
            cache.delete(cache_key("chat-1"))
            verdicts.put_many([there])
            verdicts.put_many([written])
            won = cache.get(cache_key("chat-1")) == written.value
            # Published at the same moment, the later offer wins, as the later write does.
            assert won == (is_newer(new, old) or written.value == there.value), (there, written)
    verdicts.close()
