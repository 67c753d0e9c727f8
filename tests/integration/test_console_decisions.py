"""A decision over HTTP reaches the verdict topic and Redis through a real worker; reports and appeals beside it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
import redis

from console.judging.loading import load_classifier
from console.metrics import Metrics
from console.operations import open_operations
from console.service import Service, service_of
from console.settings.console import ConsoleSettings
from console.settings.operations import PipelineSettings, StoreSettings
from deploy.local import LocalStack
from schemas import Decision, Verdict, decode_feedback, decode_verdict
from testkit.reader import read_all
from testkit.topics import Topics
from testkit.waiting import wait_until
from tests.brokers import configure_topic
from tests.console.roles import bearer, keys_of_roles
from tests.console.server import RunningConsole
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import BANNED, ROLE_PLAY, chats
from worker.cache.values import cache_key
from worker.kafka.probe import open_admin
from worker.settings.kafka import KafkaSettings

pytestmark = [pytest.mark.services, pytest.mark.console]

CHAT = "chat-0"


@pytest.fixture
def settings(settings: Settings, stack: LocalStack, topics: Topics, n_partitions: int) -> Settings:
    """Return the settings of workers and console, with topics for decisions and reports."""
    mark = uuid4().hex[:8]
    name = f"verdict-overrides-{mark}"
    stack.kafka.create_topics({name: n_partitions, f"{name}.log": 1, f"{name}.feedback": 1})
    configure_topic(
        open_admin(KafkaSettings(bootstrap_servers=topics.bootstrap_servers)), name, {"cleanup.policy": "compact"}
    )
    return settings | {
        "MODERATION_KAFKA__OVERRIDES_TOPIC": name,
        "MODERATION_KAFKA__DECISIONS_TOPIC": f"{name}.log",
        "MODERATION_KAFKA__FEEDBACK_TOPIC": f"{name}.feedback",
        "MODERATION_ERASURE__HASH_KEY": "k" * 32,
    }


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    """Return a console's service that follows the test's pipeline, started."""
    mine = ConsoleSettings(
        pipeline=PipelineSettings(is_on=True),
        store=StoreSettings(url=f"sqlite:///{tmp_path / 'console.sqlite3'}"),
    )
    metrics = Metrics()
    operations = open_operations(mine, settings, metrics)
    assert operations is not None
    classifier, rules, _ = load_classifier(mine.model)
    made = service_of(classifier, rules, mine, metrics, operations)
    operations.start()
    made.judge.start()
    yield made
    made.close()


@pytest.fixture
def console(service: Service, tmp_path: Path) -> Iterator[RunningConsole]:
    """Return the console, with a key of each role."""
    running = RunningConsole(service, keys_of_roles(tmp_path))
    yield running
    running.close()


def cached(cache: "redis.Redis") -> Verdict:
    """Return the verdict that Redis shows."""
    return decode_verdict(cache.get(cache_key(CHAT)))  # type: ignore[arg-type]  # the client is synchronous


def decide(console: RunningConsole, decision: str, key: str = "reviewer", **fields: Any) -> Any:
    """Decide on the chat, and wait until it is sent."""
    body = {"chat_id": CHAT, "decision": decision, "reason": "false_positive", **fields}
    return console.ask("POST", "/v1/overrides?wait_s=5", orjson.dumps(body), bearer(key))


def test_a_decision_over_http_is_on_the_topic_and_in_redis(
    *,
    ledger: LiveLedger,
    stack: LocalStack,
    cache: "redis.Redis",
    settings: Settings,
    start_worker: StartWorker,
    console: RunningConsole,
) -> None:
    """Set, shown, refused beside a stricter one, taken back; how long it takes is printed, the promise being 2 s."""
    worker = start_worker()
    ledger.send(chats(1, ROLE_PLAY))
    ledger.wait_complete()
    seen = cached(cache)
    assert seen.decision is not Decision.ALLOW

    began = time.perf_counter()
    sent = decide(console, "allow")
    assert (sent.status, sent.json["state"], sent.json["not_lifted"]) == (202, "sent", [])
    took_s = time.perf_counter() - began
    wait_until(lambda: cached(cache).decision is Decision.ALLOW, timeout_s=20)
    shown_s = time.perf_counter() - began
    print(f"on the overrides topic after {took_s:.2f} s, in Redis after {shown_s:.2f} s")  # noqa: T201
    assert cached(cache).actor == "reviewer"

    shown = console.ask("GET", f"/v1/overrides?chat_id={CHAT}", None, bearer("reviewer")).json
    (standing,) = shown["overrides"]
    assert (standing["decision"], standing["actor"], shown["n_waiting"]) == ("allow", "reviewer", 0)
    assert "signature" not in standing

    verdicts = console.ask("GET", f"/v1/verdicts/{CHAT}?limit=10", None, bearer("viewer"))
    assert verdicts.status == 200, verdicts.raw
    assert verdicts.json["newest"]["kind"] == "override"
    assert verdicts.json["history"]["n_outcomes"] == 2
    assert console.ask("GET", "/v1/verdicts/nobody", None, bearer("viewer")).error["code"] == "unknown_chat"
    assert console.ask("GET", f"/v1/verdicts/{CHAT}?limit=x", None, bearer("viewer")).status == 400

    # A verdict that is not the newest any more, and that nobody was asked about.
    assert decide(console, "block", verdict_id="ab" * 16).error["code"] == "verdict_changed"
    assert decide(console, "block", policy="*").json["state"] == "sent"
    wait_until(lambda: cached(cache).decision is Decision.BLOCK, timeout_s=20)
    refused = decide(console, "allow")
    assert (refused.status, refused.error["code"]) == (409, "outweighed")
    assert "DELETE /v1/overrides" in refused.error["message"]

    path = f"/v1/overrides?chat_id={CHAT}&reason=mistake&wait_s=5"
    cleared = console.ask("DELETE", path, None, bearer("reviewer"))
    assert (cleared.status, cleared.json["state"]) == (202, "sent")
    assert console.ask("GET", f"/v1/overrides?chat_id={CHAT}", None, bearer("reviewer")).json["overrides"] == []
    assert console.ask("DELETE", path, None, bearer("reviewer")).error["code"] == "no_override"

    log = read_all(stack.bootstrap_servers, [settings["MODERATION_KAFKA__DECISIONS_TOPIC"]])
    actions = [
        (one["action"], one["decision"], one["actor"]) for one in (orjson.loads(each.value or b"") for each in log)
    ]
    assert sorted(actions) == sorted(
        [
            ("set", "allow", "reviewer"),
            ("set", "block", "reviewer"),
            ("clear", "allow", "reviewer"),
            ("clear", "block", "reviewer"),
        ]
    )
    assert worker.stop() == 0


def test_what_a_chat_says_now_is_found_by_its_id(
    *,
    ledger: LiveLedger,
    stack: LocalStack,
    cache: "redis.Redis",
    settings: Settings,
    start_worker: StartWorker,
    console: RunningConsole,
) -> None:
    """For reports, appeals and decisions; that the floor is not lifted is told, and an admin sees the outbox."""
    worker = start_worker()
    ledger.send(chats(1, BANNED))
    ledger.wait_complete()
    seen = cached(cache)
    assert decide(console, "allow", "viewer").status == 403
    assert decide(console, "allow", chat_id="nobody").error["code"] == "unknown_chat"
    assert decide(console, "allow", policy="nobodys").error["code"] == "unknown_policy"
    report = {"chat_id": CHAT, "decision": "allow"}
    assert console.ask("POST", "/v1/feedback", orjson.dumps(report), bearer("client")).status == 200
    topic = settings["MODERATION_KAFKA__FEEDBACK_TOPIC"]
    wait_until(lambda: len(read_all(stack.bootstrap_servers, [topic])) == 1, timeout_s=20)
    (kept,) = (decode_feedback(one.value) for one in read_all(stack.bootstrap_servers, [topic]))
    assert (kept.reporter, kept.fingerprint) == ("client", seen.content_fingerprint)

    appeal = {"chat_id": CHAT, "reason": "not_an_ad"}
    made = console.ask("POST", "/v1/appeals", orjson.dumps(appeal), bearer("client"))
    assert (made.status, made.json["state"]) == (202, "open")
    sent = decide(console, "allow").json
    assert sent["state"] == "sent"
    outbox = console.ask("GET", "/v1/outbox", None, bearer("admin")).json
    assert (outbox["n_waiting"], outbox["n_refused"], outbox["refused"]) == (0, 0, [])
    assert sent["not_lifted"] == ["floor"]
    assert worker.stop() == 0
