"""The compare-and-set against a real Redis: the cached version of a chat never decreases (I5, F23, F24)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from deploy.local import LocalStack
from schemas import ModelRef, PolicyRef, Source, Verdict, encode_verdict
from schemas.marker import TOMBSTONE
from tests.integration.conftest import every_redis
from tests.schemas.payloads import make_verdict
from worker.cache.connection import connect
from worker.cache.entries import MAX_VALUE_BYTES, Entry, marker_entry, verdict_entry
from worker.cache.values import cache_key
from worker.cache.verdict_cache import RedisVerdictCache
from worker.process.metrics import Metrics
from worker.settings.redis import OnRejected, RedisSettings

pytestmark = [pytest.mark.services, *every_redis]

TTL_S = 500
LOOKS_LIKE_A_VERSION = '"source":{"topic":"live","partition":0,"offset":99,"timestamp_ms":1}'
MODEL_DIGEST = f"sha256:{'cd' * 32}"


@pytest.fixture
def verdicts(stack: LocalStack, cache: "redis.Redis") -> RedisVerdictCache:  # noqa: ARG001  the cache starts empty
    """Return the worker's cache on the real Redis."""
    settings = RedisSettings(url=SecretStr(stack.redis_url), timeout_s=2, ttl_s=TTL_S)
    return RedisVerdictCache(connect(settings), settings, Metrics())


def verdict_at(
    offset: int,
    *,
    timestamp_ms: int = 1_000,
    topic: str = "live",
    partition: int = 0,
    model: str = "m 1",
    policy: str = "p 1",
) -> Verdict:
    """Return a verdict on chat-1 with this version."""
    (model_name, model_version), (policy_name, policy_version) = model.split(), policy.split()
    return make_verdict(
        source=Source(topic=topic, partition=partition, offset=offset, timestamp_ms=timestamp_ms),
        model=ModelRef(name=model_name, version=model_version, digest=MODEL_DIGEST),
        policy=PolicyRef(name=policy_name, version=policy_version),
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def entry_of(verdict: Verdict) -> Entry:
    """Return what the worker would write."""
    return verdict_entry(verdict, encode_verdict(verdict))


def put(verdicts: RedisVerdictCache, verdict: Verdict) -> None:
    """Write one verdict."""
    verdicts.put_many([entry_of(verdict)])


def marker_at(offset: int, *, rejected: str = "schema_error", **fields: Any) -> Entry:
    """Return the marker of a rejected record of chat-1."""
    return marker_entry("chat-1", verdict_at(offset, **fields).source, rejected)


@pytest.mark.parametrize(
    ("there", "written", "wins"),
    [
        pytest.param(verdict_at(7), verdict_at(8), True, id="a higher offset"),
        pytest.param(verdict_at(8), verdict_at(7), False, id="a lower offset"),
        pytest.param(
            verdict_at(8, timestamp_ms=1), verdict_at(7, timestamp_ms=9), False, id="a lower offset, later clock"
        ),
        pytest.param(verdict_at(7), verdict_at(7), True, id="a redelivery of the same event"),
        pytest.param(verdict_at(9), verdict_at(1, topic="replay", timestamp_ms=999), False, id="other topic, earlier"),
        pytest.param(verdict_at(1), verdict_at(9, topic="replay", timestamp_ms=1_000), True, id="other topic, as late"),
        pytest.param(verdict_at(1), verdict_at(0, topic="replay", timestamp_ms=1_001), True, id="other topic, later"),
        pytest.param(verdict_at(7, model="m 1.9"), verdict_at(7, model="m 1.10"), True, id="same event, newer model"),
        pytest.param(verdict_at(7, model="m 1.10"), verdict_at(7, model="m 1.9"), False, id="same event, older model"),
        pytest.param(
            verdict_at(7, model="m 1.9"), verdict_at(7, model="m 1.9.1"), True, id="same event, longer version"
        ),
        pytest.param(verdict_at(7, policy="p 2"), verdict_at(7, policy="p 10"), True, id="same event, newer policy"),
        pytest.param(verdict_at(7, policy="p 10"), verdict_at(7, policy="p 2"), False, id="same event, older policy"),
        pytest.param(verdict_at(7, model="m 2"), verdict_at(7, model="n 1"), True, id="same event, another model"),
        pytest.param(verdict_at(7, policy="p 2"), verdict_at(7, policy="q 1"), True, id="same event, another policy"),
        pytest.param(
            verdict_at(7, model="m 2"),
            verdict_at(7, model="m 1", policy="q 1"),
            False,
            id="another policy, older model",
        ),
        pytest.param(verdict_at(7, model="m 2"), verdict_at(8, model="m 1"), True, id="a later event, older model"),
    ],
)
def test_the_newer_version_of_a_chat_stays(
    verdicts: RedisVerdictCache, there: Verdict, written: Verdict, wins: bool
) -> None:
    """A replay, a zombie and a redelivery all write late; only the event's version may decide."""
    put(verdicts, there)
    put(verdicts, written)
    assert verdicts.get_many(["chat-1"]) == {"chat-1": written if wins else there}


def test_versions_written_in_any_order_end_at_the_highest(verdicts: RedisVerdictCache) -> None:
    """Two workers write the same chat after a rebalance, each batch by batch."""
    for offset in (3, 1, 9, 2, 8, 9, 4):
        put(verdicts, verdict_at(offset))
    assert verdicts.get_many(["chat-1"])["chat-1"].source.offset == 9


def test_of_several_verdicts_on_one_chat_in_a_batch_the_last_is_kept(verdicts: RedisVerdictCache) -> None:
    """A chat that grows twice within one batch must not be cached in its older state."""
    verdicts.put_many(entry_of(verdict) for verdict in map(verdict_at, (1, 2, 3)))
    assert verdicts.get_many(["chat-1"])["chat-1"].source.offset == 3


def test_a_batch_of_dead_letters_in_any_order_leaves_the_newest(verdicts: RedisVerdictCache) -> None:
    """A redrive reads a chat's events as they failed, not as they came, and from more than one partition."""
    jumbled = [verdict_at(3), verdict_at(9), verdict_at(1, partition=1, timestamp_ms=5), verdict_at(4)]
    verdicts.put_many(entry_of(verdict) for verdict in jumbled)
    assert verdicts.get_many(["chat-1"])["chat-1"] == verdict_at(9)


def test_two_key_prefixes_do_not_see_one_another(stack: LocalStack, verdicts: RedisVerdictCache) -> None:
    """Two models with other categories may share a Redis and chats."""
    settings = RedisSettings(url=SecretStr(stack.redis_url), timeout_s=2, key_prefix="other:")
    others = RedisVerdictCache(connect(settings), settings, Metrics())
    put(verdicts, verdict_at(1))
    assert others.get_many(["chat-1"]) == {}
    others.put_many([marker_at(9)])
    assert verdicts.get_many(["chat-1"]) == {"chat-1": verdict_at(1)}


@pytest.mark.parametrize(
    "garbage", [b"not json", b"[]", b"{}", b'{"source":7}', b"\xff\x00", b'{"source":{"topic":1}}', b"x" * 70_000]
)
def test_a_value_that_is_no_verdict_reads_as_a_miss_and_is_overwritten(
    verdicts: RedisVerdictCache, cache: "redis.Redis", garbage: bytes
) -> None:
    """What another program left under our key protects nothing and breaks nothing."""
    cache.set(cache_key("chat-1"), garbage)
    assert verdicts.get_many(["chat-1"]) == {}
    put(verdicts, verdict_at(1))
    assert verdicts.get_many(["chat-1"]) == {"chat-1": verdict_at(1)}


def test_a_key_of_another_type_is_overwritten_and_its_neighbours_are_written_too(
    verdicts: RedisVerdictCache, cache: "redis.Redis"
) -> None:
    """One poisoned key must not cost a whole chunk its writes."""
    cache.lpush(cache_key("chat-1"), "x")
    neighbour = verdict_at(1).model_copy(update={"chat_id": "chat-2"})
    verdicts.put_many(entry_of(verdict) for verdict in (verdict_at(1), neighbour))
    assert verdicts.get_many(["chat-1", "chat-2"]).keys() == {"chat-1", "chat-2"}


@pytest.mark.parametrize(
    ("there", "written", "shown"),
    [
        pytest.param(verdict_at(5), marker_at(6), None, id="a rejection after the verdict"),
        pytest.param(verdict_at(5), marker_at(4), verdict_at(5), id="a rejection before it"),
        pytest.param(marker_at(6), verdict_at(5), None, id="an older verdict, owed, replayed or projected"),
        pytest.param(marker_at(6), verdict_at(7), verdict_at(7), id="a newer verdict"),
        pytest.param(marker_at(6), verdict_at(6), verdict_at(6), id="the same record, judged after all"),
        pytest.param(verdict_at(6), marker_at(6), None, id="the same record, read again and rejected"),
        pytest.param(marker_at(6), verdict_at(9, topic="old", timestamp_ms=9), None, id="an older one elsewhere"),
        pytest.param(marker_at(6), marker_at(5), None, id="an older rejection"),
    ],
)
def test_a_marker_is_compared_as_a_verdict_is(
    verdicts: RedisVerdictCache, there: Verdict | Entry, written: Verdict | Entry, shown: Verdict | None
) -> None:
    """An event that nobody could judge must not keep an `allow`, nor may a late write bring it back."""
    for outcome in (there, written):
        verdicts.put_many([outcome if isinstance(outcome, Entry) else entry_of(outcome)])
    assert verdicts.get_many(["chat-1"]) == ({} if shown is None else {"chat-1": shown})


def test_a_marker_says_which_record_was_rejected_and_leaves_with_the_ttl(
    verdicts: RedisVerdictCache, cache: "redis.Redis"
) -> None:
    """An ad server that finds one must be able to tell it from a verdict."""
    verdicts.put_many([marker_at(3)])
    stored = json.loads(cache.get(cache_key("chat-1")) or b"")  # type: ignore[arg-type]
    assert (stored["chat_id"], stored["source"]["offset"], stored["rejected"]) == ("chat-1", 3, "schema_error")
    assert "decision" not in stored
    assert 0 < cache.ttl(cache_key("chat-1")) <= TTL_S


def test_where_rejected_events_shall_keep_their_verdict_only_a_tombstone_takes_it(
    stack: LocalStack, verdicts: RedisVerdictCache
) -> None:
    """`keep` is for a feed whose rejections say nothing of the chat; erasure is no such thing."""
    settings = RedisSettings(url=SecretStr(stack.redis_url), timeout_s=2, on_rejected=OnRejected.KEEP)
    keeping = RedisVerdictCache(connect(settings), settings, Metrics())
    put(keeping, verdict_at(5))
    keeping.put_many([marker_at(6)])
    assert verdicts.get_many(["chat-1"])["chat-1"].source.offset == 5
    keeping.put_many([marker_at(7, rejected=TOMBSTONE)])
    assert verdicts.get_many(["chat-1"]) == {}


def test_a_verdict_too_long_to_be_believed_leaves_a_marker(verdicts: RedisVerdictCache) -> None:
    """It would read as a miss; but the older `allow` under it must go all the same."""
    put(verdicts, verdict_at(5))
    put(verdicts, verdict_at(6).model_copy(update={"event_id": "x" * MAX_VALUE_BYTES}))
    put(verdicts, verdict_at(5))
    assert verdicts.get_many(["chat-1"]) == {}


def test_an_entry_may_have_a_ttl_of_its_own(verdicts: RedisVerdictCache, cache: "redis.Redis") -> None:
    """Whoever writes an old verdict again gives it the time that it has left."""
    verdicts.put_many([entry_of(verdict_at(1))._replace(ttl_s=50)])
    assert 0 < cache.ttl(cache_key("chat-1")) <= 50


def test_entries_that_redis_does_not_take_are_handed_back(stack: LocalStack) -> None:
    """Whoever owes them must know which."""
    settings = RedisSettings(url=SecretStr(stack.redis_url.replace("/0", "/99")), timeout_s=2)
    away = RedisVerdictCache(connect(settings), settings, Metrics())
    assert away.put_many([marker_at(1), marker_at(2)]) == [marker_at(2)]


def test_a_verdict_stays_for_the_ttl_and_no_longer(verdicts: RedisVerdictCache, cache: "redis.Redis") -> None:
    """Verdicts of chats that nobody asks for again must leave by themselves."""
    put(verdicts, verdict_at(1))
    assert 0 < cache.ttl(cache_key("chat-1")) <= TTL_S


def test_more_chats_than_fit_one_call_are_all_written_and_found(verdicts: RedisVerdictCache) -> None:
    """Look-ups and writes go in chunks, so that Redis is never held up for long."""
    many = [verdict_at(1).model_copy(update={"chat_id": f"chat-{i}"}) for i in range(250)]
    verdicts.put_many(entry_of(verdict) for verdict in many)
    assert len(verdicts.get_many(f"chat-{i}" for i in range(250))) == 250


@pytest.mark.parametrize(
    ("topic", "event_id"),
    [
        pytest.param("live", LOOKS_LIKE_A_VERSION, id="quoted in an id"),
        pytest.param('li"ve\\', None, id="a topic that JSON escapes"),
    ],
)
def test_text_that_looks_like_a_version_is_not_read_as_one(
    verdicts: RedisVerdictCache, topic: str, event_id: str | None
) -> None:
    """The script finds a version by its text; what upstream sends must not decide which is newer."""
    older, newer = (
        verdict_at(offset, topic=topic).model_copy(update={"event_id": event_id or str(offset)}) for offset in (7, 8)
    )
    put(verdicts, older)
    put(verdicts, newer)
    put(verdicts, older)
    assert verdicts.get_many(["chat-1"]) == {"chat-1": newer}


def test_a_verdict_in_another_form_is_compared_by_its_meaning(
    verdicts: RedisVerdictCache, cache: "redis.Redis"
) -> None:
    """A later version of the worker, or another writer of the same contract, may order or space the fields anew."""
    fields = json.loads(encode_verdict(verdict_at(9)))
    cache.set(cache_key("chat-1"), json.dumps(dict(reversed(fields.items())), indent=1))
    put(verdicts, verdict_at(8))
    assert verdicts.get_many(["chat-1"])["chat-1"].source.offset == 9
