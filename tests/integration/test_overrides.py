"""People's decisions end to end: written by the command, followed by real workers, shown by topic and Redis."""

import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
import redis
from confluent_kafka import TopicPartition

from deploy.local import LocalStack
from schemas import Decision, Verdict, VerdictKind, decode_verdict
from schemas.erasure import chat_hash
from testkit.ledger import is_override
from testkit.reader import read_all
from testkit.records import Place
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.brokers import configure_topic
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import ALLOWED, BANNED, ROLE_PLAY, chats
from tests.integration.workers import run_command
from worker.cache.values import cache_key
from worker.kafka.probe import open_admin
from worker.settings.kafka import KafkaSettings

pytestmark = pytest.mark.services

CHAT = "chat-0"
HASH_KEY = "k" * 32
PATIENCE_S = 20.0
"""Far above the two seconds that are promised: a busy machine is no fault. The figure itself is printed."""
ACTOR = ("--actor", "reviewer-7", "--reason", "false_positive")


@pytest.fixture
def overrides_topic(stack: LocalStack, topics: Topics, n_partitions: int) -> str:
    """Create the two topics of people's decisions; return the compacted one's name."""
    name = f"verdict-overrides-{uuid4().hex[:8]}"
    stack.kafka.create_topics({name: n_partitions, f"{name}.log": 1})
    admin = open_admin(KafkaSettings(bootstrap_servers=topics.bootstrap_servers))
    configure_topic(admin, name, {"cleanup.policy": "compact"})
    return name


@pytest.fixture
def settings(settings: Settings, overrides_topic: str) -> Settings:
    """Return the settings of workers and of whoever decides."""
    return settings | {
        "MODERATION_KAFKA__OVERRIDES_TOPIC": overrides_topic,
        "MODERATION_KAFKA__DECISIONS_TOPIC": f"{overrides_topic}.log",
        "MODERATION_ERASURE__HASH_KEY": HASH_KEY,
    }


Override = Callable[..., Any]


@pytest.fixture
def override(settings: Settings) -> Override:
    """Return a function that runs the command with --json; keyword arguments are settings laid over the test's own."""

    def run(*arguments: str, code: int = 0, **changed: str) -> Any:
        named = {f"MODERATION_{name}": value for name, value in changed.items()}
        done = run_command("override", *arguments, "--json", settings=settings | named)
        assert done.returncode == code, done.stdout + done.stderr
        return orjson.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stderr

    return run


def cached(cache: "redis.Redis", chat_id: str = CHAT) -> Verdict:
    """Return the verdict that Redis shows."""
    return decode_verdict(cache.get(cache_key(chat_id)))  # type: ignore[arg-type]  # the client is synchronous


def answers(ledger: LiveLedger) -> list[Verdict]:
    """Return the verdicts on people's decisions that the reader beside has seen, in order."""
    verdicts = [decode_verdict(one.value or b"") for one in ledger.seen if one.topic == ledger.topics.verdicts]
    return [one for one in verdicts if one.kind is VerdictKind.OVERRIDE]


def wait_for_answer(ledger: LiveLedger, cache: "redis.Redis", revision: int) -> Verdict:
    """Wait until topic and Redis show the answer of a revision; return it."""
    found: list[Verdict] = []

    def is_there() -> bool:
        found[:] = [one for one in answers(ledger) if one.override_revision == revision]
        return bool(found) and cached(cache).override_revision == revision

    wait_until(is_there, timeout_s=PATIENCE_S, what=lambda: f"no answer of revision {revision} in {answers(ledger)}")
    assert cached(cache) == found[-1]
    return found[-1]


def seen_after_s(ledger: LiveLedger, said: Any) -> float:
    """Return how long after the decision a reader of the topic saw its verdict, the writing of both included."""
    (seen_s,) = [
        ledger.seen_at_s[Place(*one[:3])]
        for one in ledger.seen
        if is_override(one, ledger.topics) and decode_verdict(one.value or b"").override_revision == said["revision"]
    ]
    seen = time.time() - (time.perf_counter() - seen_s)
    return seen - datetime.fromisoformat(said["decided_at"]).timestamp()


def test_an_override_reaches_topic_and_redis_though_the_chat_says_nothing_more(
    ledger: LiveLedger,
    cache: "redis.Redis",
    override: Override,
    start_worker: StartWorker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the model's own decision and the actor beside it; taken back, it gives way at the next event."""
    worker = start_worker()
    ledger.send(chats(3, ROLE_PLAY))
    ledger.wait_complete()
    before = ledger.verdicts()
    (place, judged) = next((place, one) for place, one in before.items() if one.chat_id == CHAT)
    assert judged.decision is Decision.BLOCK
    said = override("set", CHAT, "allow", *ACTOR)
    answer = wait_for_answer(ledger, cache, said["revision"])
    with capsys.disabled():
        sys.stdout.write(f"\ndecided to published: {seen_after_s(ledger, said):.2f} s by the reader beside\n")
    assert answer.source == judged.source
    assert (answer.decision, answer.decided_by.value) == (Decision.ALLOW, "override")
    assert (answer.model_decision, answer.actor) == (Decision.BLOCK, "reviewer-7")
    assert (answer.probabilities, answer.evidence) == (judged.probabilities, judged.evidence)
    assert answer.verdict_id != judged.verdict_id
    # The same text again: the override speaks of it too. Another text: it does not.
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    again = cached(cache)
    assert (again.kind, again.decision, again.override_revision) == (
        VerdictKind.EVENT,
        Decision.ALLOW,
        said["revision"],
    )
    assert again.verdict_id == answer.verdict_id
    ledger.send(chats(1, f"{ROLE_PLAY}, and fast"))
    ledger.wait_complete()
    other = cached(cache)
    assert (other.decision, other.override_revision, other.actor) == (Decision.BLOCK, 0, None)
    (listed,) = override("list")["overrides"]
    assert listed["revision"] == said["revision"]
    assert "nothing was decided" in override("clear", "chat-1", *ACTOR, code=5)
    override("clear", CHAT, *ACTOR)
    assert override("list")["overrides"] == []
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    assert cached(cache).decision is Decision.BLOCK
    assert place in ledger.verdicts()
    ledger.assert_exactly_once()
    assert len(answers(ledger)) == 1
    assert worker.stop() == 0


def test_an_allow_never_lifts_the_floor(
    ledger: LiveLedger, cache: "redis.Redis", override: Override, start_worker: StartWorker
) -> None:
    """Its verdict says so: the answer of the same revision is blocked by the floor."""
    start_worker()
    ledger.send(chats(1, BANNED))
    ledger.wait_complete()
    assert cached(cache).decided_by.value == "floor"
    said = override("set", CHAT, "allow", *ACTOR)
    answer = wait_for_answer(ledger, cache, said["revision"])
    assert (answer.decision, answer.decided_by.value, answer.actor) == (Decision.BLOCK, "floor", None)


def test_a_block_counts_for_the_whole_chat_and_every_decision_is_in_the_audit_log(
    ledger: LiveLedger,
    cache: "redis.Redis",
    settings: Settings,
    override: Override,
    start_worker: StartWorker,
) -> None:
    """The log names the chat by its hash only; explain and show tell who decided."""
    start_worker()
    ledger.send(chats(1, ALLOWED))
    ledger.wait_complete()
    said = override("set", CHAT, "block", "--expires-in", "2s", *ACTOR)
    wait_for_answer(ledger, cache, said["revision"])
    assert said["scope"] == "chat"
    wait_until(lambda: override("list")["overrides"] == [], timeout_s=PATIENCE_S)
    # Expired: it gives way at the next event, and not before.
    assert cached(cache).decision is Decision.BLOCK
    ledger.send(chats(1, ALLOWED))
    ledger.wait_complete()
    assert cached(cache).decision is Decision.ALLOW
    policy = cached(cache).policy.name
    second = override("set", CHAT, "block", "--policy", policy, *ACTOR)
    assert second["revision"] > said["revision"]
    wait_for_answer(ledger, cache, second["revision"])
    ledger.send(chats(1, f"{ALLOWED}, please"))
    ledger.wait_complete()
    shown = run_command("show", CHAT, settings=settings)
    assert "block (override)" in shown.stdout
    assert "reviewer-7" in shown.stdout
    told = run_command("explain", CHAT, settings=settings)
    assert "the policy's own rule says allow" in told.stdout
    override("clear", CHAT, "--policy", policy, *ACTOR)
    log = read_all(ledger.topics.bootstrap_servers, [settings["MODERATION_KAFKA__DECISIONS_TOPIC"]])
    records = [orjson.loads(one.value or b"") for one in log]
    assert [one["action"] for one in records] == ["set", "set", "clear"]
    assert {one["chat_hash"] for one in records} == {chat_hash(CHAT, HASH_KEY.encode())}
    assert not any(CHAT.encode() in (one.value or b"") + (one.key or b"") for one in log)
    # Redis is filled again from the topics: the newer revision on one record wins there too.
    newest = cached(cache)
    cache.flushall()
    done = run_command("project", settings=settings)
    assert done.returncode == 0, done.stderr
    assert cached(cache) == newest


def test_what_an_override_cannot_do_is_refused_with_the_remedy(
    ledger: LiveLedger, override: Override, start_worker: StartWorker
) -> None:
    """Rather than written, and found to count for nothing."""
    start_worker()
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    assert "no verdict" in override("set", "chat-nobody", "block", *ACTOR, code=5)
    assert "decides on no verdict; expected `*` or one of" in override(
        "set", CHAT, "allow", "--policy", "nobodys", *ACTOR, code=2
    )
    override("set", CHAT, "block", *ACTOR)
    assert "take it back first" in override("set", CHAT, "allow", *ACTOR, code=2)
    assert "DECISIONS_TOPIC is not set" in override("set", CHAT, "block", *ACTOR, code=2, KAFKA__DECISIONS_TOPIC="")


def test_an_owner_that_dies_on_the_way_is_followed_by_one_that_answers(
    ledger: LiveLedger, cache: "redis.Redis", override: Override, start_worker: StartWorker
) -> None:
    """The override stays due until its verdict is committed, whoever owns the partition then."""
    first = start_worker()
    ledger.send(chats(8, ROLE_PLAY))
    ledger.wait_complete()
    first.kill()
    said = override("set", CHAT, "allow", *ACTOR)
    second = start_worker()
    wait_for_answer(ledger, cache, said["revision"])
    second.kill()
    start_worker()
    ledger.send(chats(8, f"{ALLOWED}, please"))
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert {one.verdict_id for one in answers(ledger)} == {answers(ledger)[0].verdict_id}


def test_an_unsigned_override_counts_for_nothing_where_workers_hold_a_key(
    ledger: LiveLedger, cache: "redis.Redis", override: Override, start_worker: StartWorker
) -> None:
    """Whoever may write the topic alone cannot allow anything."""
    key = {"OVERRIDES__SIGNING_KEY": "s" * 32}
    worker = start_worker(**key)
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    override("set", CHAT, "allow", *ACTOR)
    refused = worker.wait_for("override_refused")
    assert refused["reason"] == "unsigned"
    said = override("set", CHAT, "allow", *ACTOR, **key)
    assert wait_for_answer(ledger, cache, said["revision"]).decision is Decision.ALLOW
    assert len(answers(ledger)) == 1


def test_an_override_whose_record_is_gone_counts_at_the_next_event(
    stack: LocalStack,
    ledger: LiveLedger,
    cache: "redis.Redis",
    override: Override,
    start_worker: StartWorker,
) -> None:
    """Retention took what is to be decided on again; the person's word stands all the same."""
    worker = start_worker()
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    place = next(iter(ledger.sent))
    admin = open_admin(KafkaSettings(bootstrap_servers=stack.bootstrap_servers))
    for done in admin.delete_records([TopicPartition(place.topic, place.partition, place.offset + 1)]).values():
        done.result(timeout=20)
    override("set", CHAT, "allow", "--whole-chat", *ACTOR)
    assert worker.wait_for("override_not_answered")["reason"] == "no_record"
    assert cached(cache).decision is Decision.BLOCK
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    assert cached(cache).decision is Decision.ALLOW
    assert answers(ledger) == []
