"""What stands in Redis is a hint: forged, frozen and oversized values, and chats whose newest event was rejected."""

import time
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
import redis

from deploy.local.ports import free_ports
from schemas import Verdict, encode_verdict
from testkit.records import InputRecord
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples
from tests.integration.workers import run_command
from worker.cache.values import cache_key

pytestmark = pytest.mark.services

EXIT_NOT_CACHED = 5
MEGABYTE = 1_000_000


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's metrics."""
    return free_ports(1)[0]


def judged(ledger: LiveLedger, chat: dict[str, Any]) -> Verdict:
    """Send one chat and return the verdict on it."""
    before = ledger.sent.keys() | set()
    ledger.send([chat])
    ledger.wait_complete()
    (verdict,) = (verdict for place, verdict in ledger.verdicts().items() if place not in before)
    return verdict


def shown(cache: "redis.Redis", chat_id: str) -> dict[str, Any]:
    """Return what the cache holds of a chat."""
    raw: Any = cache.get(cache_key(chat_id))
    return dict(orjson.loads(raw)) if raw is not None else {}


def cached(ledger: LiveLedger, cache: "redis.Redis", chat: dict[str, Any]) -> Verdict:
    """Send one chat and return the verdict on it, once Redis shows it too: it is written there after the topic."""
    verdict = judged(ledger, chat)
    wait_until(
        lambda: shown(cache, verdict.chat_id).get("source", {}).get("offset") == verdict.source.offset,
        what=lambda: f"Redis shows {shown(cache, verdict.chat_id).get('source')}, expected {verdict.source}",
    )
    return verdict


def judged_beside(
    ledger: LiveLedger, cache: "redis.Redis", chat: dict[str, Any], value: bytes, true: Verdict
) -> Verdict:
    """Send one chat while its key holds a forged value, and return the verdict, once Redis shows it.

    An idle worker writes its newest verdict anew, to notice a Redis that lost it. That may undo the value before it is
    read, so a hit is tried twice more.
    """
    for _ in range(3):
        cache.set(cache_key(chat["chat_id"]), value)
        verdict = cached(ledger, cache, chat)
        assert (verdict.decision, verdict.category, verdict.model) == (true.decision, true.category, true.model)
        if not verdict.cache_hit:
            break
    return verdict


def refusals(port: int) -> dict[str, float]:
    """Return the worker's count of refused values by reason."""
    return {dict(labels)["reason"]: n for labels, n in samples(port, "moderation_cache_refused_total").items()}


def forged(verdict: Verdict, **fields: Any) -> bytes:
    """Return a verdict's JSON with other values in some fields."""
    return orjson.dumps(orjson.loads(encode_verdict(verdict)) | fields)


def test_what_somebody_else_wrote_into_redis_is_not_published(
    ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """An `allow` under an own name, another decision, another category: each is judged again, and said so."""
    # Nothing kept decoded: each value is read as another worker's.
    start_worker(HTTP__PORT=str(port), REDIS__N_DECODED="0")
    chat, true = next(
        (chat, verdict) for chat in sample_chats[:60] if (verdict := judged(ledger, chat)).decision == "block"
    )
    assert cached(ledger, cache, chat).cache_hit
    allowed = orjson.loads(encode_verdict(true))["decisions"]
    allowed[true.policy.name]["decision"] = "allow"
    attacks: list[tuple[str, dict[str, Any]]] = [
        ("model", {"model": true.model.model_dump() | {"name": "brand-safe-9000"}}),
        ("decision", {"decision": "allow", "decisions": allowed}),
        ("decision", {"banned_to_safe_risk": 0.0001}),
        ("decision", {"banned_probability": abs(true.banned_probability - 0.5)}),
        ("evidence", {"evidence": dict.fromkeys(true.evidence, 0.0)}),
        ("category", {"category": {"code": true.category.code, "name": "Kittens"}}),
        ("chat", {"chat_id": "another"}),
        ("unreadable", {"decision": "serve"}),
        ("decision", {"decision": "allow"}),
        ("decision", {"decisions": allowed}),
    ]
    for reason, fields in attacks:
        n_before = refusals(port).get(reason, 0)
        again = judged_beside(ledger, cache, chat, forged(true, **fields), true)
        assert not again.cache_hit, fields
        assert (again.decision, again.model, again.verdict_id) == (true.decision, true.model, true.verdict_id)
        assert refusals(port)[reason] == n_before + 1
    assert cached(ledger, cache, chat).cache_hit
    # Under an id of other policies the decision is not even read.
    cache.set(cache_key(true.chat_id), forged(true, verdict_id="0" * 32, decision="allow", decisions=allowed))
    again = judged(ledger, chat)
    assert (again.cache_hit, again.decision, again.verdict_id) == (True, true.decision, true.verdict_id)


@pytest.mark.parametrize(
    "frozen",
    [
        pytest.param({"offset": 9_000_000_000_000_000}, id="an offset that no record has"),
        pytest.param(
            {"partition": 77, "timestamp_ms": round(time.time() * 1_000) + 3_600_000},
            id="no such partition",
        ),
        pytest.param({"topic": "elsewhere", "timestamp_ms": 9_000_000_000_000_000}, id="a time that has not come"),
    ],
)
def test_a_key_cannot_be_frozen(  # noqa: PLR0917  fixtures
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    port: int,
    frozen: dict[str, Any],
) -> None:
    """Every write would be dropped as older, and ad servers would read the forged `allow` until its TTL ends."""
    start_worker(HTTP__PORT=str(port))
    true = cached(ledger, cache, sample_chats[0])
    cache.set(
        cache_key(true.chat_id), forged(true, decision="allow", source=true.source.model_dump() | frozen, policy=7)
    )
    again = judged(ledger, sample_chats[0])
    # A broker's answer is believed when it is given twice, half a minute apart.
    wait_until(
        lambda: shown(cache, true.chat_id)["source"] == again.source.model_dump(),
        timeout_s=120,
        what=lambda: f"the key still shows {shown(cache, true.chat_id)['source']}",
    )
    assert refusals(port)["no_such_record"] == 1


def test_values_of_8_megabytes_do_not_grow_the_worker(
    ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """One batch would have copied and parsed 320 MB."""
    worker = start_worker(HTTP__PORT=str(port), REDIS__TIMEOUT_S="5")
    chats = [sample_chats[0] | {"chat_id": f"chat-{number}"} for number in range(40)]
    ledger.send(chats)
    ledger.wait_complete()
    memory = psutil.Process(worker.pid)
    before = memory.memory_info().rss
    for chat in chats:
        cache.set(cache_key(chat["chat_id"]), b"x" * 8 * MEGABYTE)
    ledger.send(chats)
    ledger.wait_complete()
    assert memory.memory_info().rss - before < 30 * MEGABYTE
    # An idle worker writes its newest verdict anew, to notice a Redis that lost it: one may be good again.
    refused = refusals(port)
    assert refused.keys() == {"too_large"}
    assert refused["too_large"] >= 39
    wait_until(lambda: not any(cache.strlen(cache_key(chat["chat_id"])) == 8 * MEGABYTE for chat in chats))
    assert all(shown(cache, chat["chat_id"])["decision"] for chat in chats)


def test_with_a_signing_key_a_consistent_forgery_is_a_miss_too(  # noqa: PLR0917  fixtures
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    port: int,
    tmp_path: Path,
) -> None:
    """Probabilities that fit the forged decision pass every check but the signature; a rotation costs no hit."""
    old, new = "o" * 32, "n" * 32
    key_file = tmp_path / "signing-key"

    def start(*keys: str) -> WorkerProcess:
        key_file.write_text("\n".join(keys) + "\n")
        worker = start_worker(
            HTTP__PORT=str(port), REDIS__SIGNING_KEY_FILE=str(key_file), REDIS__N_DECODED="0", LOG__LEVEL="debug"
        )
        worker.wait_joined()
        return worker

    worker = start(old)
    safe, chat = judged(ledger, sample_chats[0]), sample_chats[1]
    true = cached(ledger, cache, chat)
    assert len(shown(cache, true.chat_id)["mac"]) == 64
    assert cached(ledger, cache, chat).cache_hit
    claims = ("category", "probabilities", "evidence", "unevaluated", "banned_probability", "banned_to_safe_risk")
    claims += ("decision", "decisions", "decided_by")
    said = orjson.loads(encode_verdict(safe))
    again = judged_beside(ledger, cache, chat, forged(true, **{name: said[name] for name in claims}), true)
    assert (again.cache_hit, again.category) == (False, true.category)
    assert refusals(port) == {"mac": 1}
    for keys in ((old, new), (new, old), (new,)):
        assert worker.stop() == 0
        worker = start(*keys)
        assert judged(ledger, chat).cache_hit, keys
    logs = "".join(path.read_text() for path in tmp_path.glob("worker-*.log"))
    assert old not in logs
    assert new not in logs


@pytest.mark.parametrize("how", ["its value names the chat", "only its key does", "it is a tombstone"])
def test_a_chat_whose_newest_event_was_rejected_has_no_verdict_until_the_next_one(  # noqa: PLR0917  fixtures
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    settings: Settings,
    sample_chats: list[dict[str, Any]],
    how: str,
) -> None:
    """The `allow` on what the chat was before must not be served on what it is now."""
    start_worker()
    chat = sample_chats[0]
    before = judged(ledger, chat)
    key = before.chat_id.encode()
    raw = {
        "its value names the chat": InputRecord(key, orjson.dumps(chat | {"messages": 5})),
        "only its key does": InputRecord(key, b"\xff"),
        "it is a tombstone": InputRecord(key, None),
    }[how]
    ledger.send_raw([raw])
    ledger.wait_complete()
    wait_until(lambda: "rejected" in shown(cache, before.chat_id), timeout_s=10, what=lambda: "no marker")
    assert "decision" not in shown(cache, before.chat_id)
    answer = run_command("show", before.chat_id, settings=settings)
    assert answer.returncode == EXIT_NOT_CACHED
    assert ("erased it" if raw.value is None else "was rejected") in answer.stderr
    # An older write, owed, replayed or projected, must not bring the verdict back.
    after = cached(ledger, cache, chat)
    assert not after.cache_hit
    assert shown(cache, before.chat_id)["verdict_id"] == after.verdict_id
