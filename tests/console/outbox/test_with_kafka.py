"""Decisions and reports on a real Kafka: in order, through a console that dies, and while the brokers are away."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest

from console.metrics import Metrics
from console.outbox.assembly import Outbox, open_outbox
from console.outbox.decisions import DecisionSender
from console.outbox.holding import Holding
from console.outbox.state import SendingState
from console.pipeline.errors import PipelineAway
from console.pipeline.overrides import OverrideTopic, Seen
from console.pipeline.writer import PipelineWriter
from console.settings.operations import AppealSettings
from console.store.outbox_rows import Kind, sending
from console.store.outbox_rows import start as mark_started
from console.store.outbox_shown import backlog, refusals
from console.store.store import Store, now_ms
from console.store.tables import outbox
from deploy.local import LocalStack
from schemas import Decision, Override, decode_feedback, decode_override
from schemas.erasure import chat_hash
from testkit.reader import read_all
from testkit.waiting import wait_until
from tests.brokers import configure_topic
from tests.console.operations import HASH_KEY, worker_settings
from tests.console.outbox.parts import allow, block, clear, put_row, report
from worker.kafka.probe import open_admin
from worker.kafka.written_together import KeyedRecord, write_together
from worker.overrides.store import OverrideStore
from worker.overrides.wish import wish_of
from worker.settings.worker import WorkerSettings

pytestmark = pytest.mark.services

Start = Callable[[], Outbox]


@pytest.fixture
def worker(stack: LocalStack) -> WorkerSettings:
    """Return settings whose topics of decisions and reports are there."""
    mark = uuid4().hex[:8]
    names = {one: f"{one}-{mark}" for one in ("overrides_topic", "decisions_topic", "feedback_topic")}
    stack.kafka.create_topics(dict.fromkeys(names.values(), 3))
    settings = worker_settings(stack.bootstrap_servers, group_id=f"console-{mark}", **names)
    configure_topic(open_admin(settings.kafka), names["overrides_topic"], {"cleanup.policy": "compact"})
    return settings


@pytest.fixture
def start(store: Store, worker: WorkerSettings) -> Iterator[Start]:
    """Return a function that starts a console's outbox over the test's database."""
    started: list[Outbox] = []

    def begin() -> Outbox:
        outbox = open_outbox(store, worker, AppealSettings(), Metrics())
        outbox.start()
        started.append(outbox)
        return outbox

    yield begin
    for one in started:
        one.close()


def records(stack: LocalStack, topic: str | None) -> list[Any]:
    """Return the committed records of a topic, per partition in order."""
    return read_all(stack.bootstrap_servers, [topic or ""])


def overrides_on(stack: LocalStack, worker: WorkerSettings) -> list[Override | None]:
    """Return what was written to the overrides topic; None: a tombstone."""
    found = records(stack, worker.kafka.overrides_topic)
    return [None if one.value is None else decode_override(one.key, one.value) for one in found]


def logged(stack: LocalStack, worker: WorkerSettings) -> list[dict[str, Any]]:
    """Return the records of the audit log."""
    return [orjson.loads(one.value) for one in records(stack, worker.kafka.decisions_topic)]


def wait_until_sent(store: Store, decision_id: str, kind: Kind = Kind.OVERRIDE_SET) -> None:
    """Wait until a row is on its topic."""

    def state() -> Any:
        with store.reading() as connection:
            return sending(connection, decision_id, kind)

    wait_until(lambda: state().state == "sent", timeout_s=30, what=lambda: f"it is {state()}")


def test_a_decision_is_sent_at_once_with_its_record_in_the_audit_log(
    store: Store, stack: LocalStack, worker: WorkerSettings, start: Start
) -> None:
    """And its report beside it; how long it takes is printed, the promise being well within 2 s."""
    outbox = start()
    wait_until(lambda: outbox.overrides.is_known, timeout_s=30)
    put_row(store, allow(), "d0", not_before_ms=now_ms())
    wait_until_sent(store, "d0")
    began = time.perf_counter()
    put_row(store, block("chat-8"), "d1", not_before_ms=now_ms())
    wait_until_sent(store, "d1")
    print(f"from the commit to the topic: {1_000 * (time.perf_counter() - began):.0f} ms")  # noqa: T201
    put_row(store, report(chat_id="chat-8"), "d1", not_before_ms=now_ms())
    wait_until_sent(store, "d1", Kind.FEEDBACK)
    allowed, blocked = sorted((one for one in overrides_on(stack, worker) if one), key=lambda one: one.chat_id)
    assert (allowed.decision, allowed.scope.value, allowed.policy) == (Decision.ALLOW, "fingerprint", "*")
    assert allowed.expires_at is not None
    assert (allowed.expires_at - allowed.decided_at).total_seconds() == 86_400
    assert (blocked.decision, blocked.scope.value, blocked.expires_at) == (Decision.BLOCK, "chat", None)
    by_id = {one["decision_id"]: one for one in logged(stack, worker)}
    assert by_id["d1"]["chat_hash"] == chat_hash("chat-8", HASH_KEY.encode())
    assert (by_id["d1"]["revision"], by_id["d1"]["actor"]) == (blocked.revision, "reviewer-7")
    (said,) = (decode_feedback(one.value) for one in records(stack, worker.kafka.feedback_topic))
    assert (said.decision, said.reporter) == (Decision.ALLOW, "reviewer-7")
    assert outbox.overrides.of_chat("chat-8") == (blocked,)


def test_what_is_taken_back_leaves_the_topic_and_stays_in_the_log(
    store: Store, stack: LocalStack, worker: WorkerSettings, start: Start
) -> None:
    """In the order in which it was decided, though all of it was put at once; what was undone alone is taken back."""
    put_row(store, block(), "d1", not_before_ms=now_ms())
    put_row(store, allow("chat-8", whole_chat=True), "d2", not_before_ms=now_ms())
    put_row(store, block("chat-8", policy="ads"), "d3", not_before_ms=now_ms())
    put_row(store, clear(), "d4", not_before_ms=now_ms())
    put_row(store, clear("chat-8", undoes="d3"), "d5", not_before_ms=now_ms())
    outbox = start()
    wait_until_sent(store, "d4", Kind.OVERRIDE_CLEAR)
    wait_until_sent(store, "d5", Kind.OVERRIDE_CLEAR)
    assert outbox.overrides.of_chat("chat-7") == ()
    (left,) = outbox.overrides.of_chat("chat-8")
    assert (left.decision, left.policy) == (Decision.ALLOW, "*")
    actions = {(one["decision_id"], one["action"], one["decision"]) for one in logged(stack, worker)}
    assert actions == {
        ("d1", "set", "block"),
        ("d2", "set", "allow"),
        ("d3", "set", "block"),
        ("d4", "clear", "block"),
        ("d5", "clear", "block"),
    }


class _DiesAfterTheWrite(PipelineWriter):
    """Writes, and then the console is gone before it can say so."""

    def write(self, records: Sequence[KeyedRecord]) -> None:
        super().write(records)
        raise SystemExit


def test_a_console_that_dies_after_the_write_writes_the_same_again(
    store: Store, stack: LocalStack, worker: WorkerSettings, start: Start
) -> None:
    """The same decision id, revision and times: for readers that drop repeats nothing is lost, and nothing doubled."""
    put_row(store, block(), "d1", not_before_ms=now_ms())
    put_row(store, clear("chat-9"), "d2", not_before_ms=now_ms())
    dying = DecisionSender(
        store,
        worker,
        topic=OverrideTopic(worker),
        writer=_DiesAfterTheWrite(worker),
        holding=Holding(store, "outbox", "dying", for_ms=1),
        state=SendingState(Metrics()),
    )
    with pytest.raises(SystemExit):
        dying.turn()
    start()
    wait_until_sent(store, "d1")
    first, second = overrides_on(stack, worker)
    assert first is not None
    assert first == second
    entries = logged(stack, worker)
    assert [one["decision_id"] for one in entries] == ["d1", "d1"]
    assert entries[0] == entries[1]


def test_a_decision_of_somebody_else_is_not_overwritten_by_a_repeated_try(
    store: Store, stack: LocalStack, worker: WorkerSettings, start: Start
) -> None:
    """The console died, a person decided by the command, and the console came back."""
    row_id = put_row(store, block(), "d1", not_before_ms=now_ms())
    earlier = round(datetime.now(UTC).timestamp() * 1_000) - 60_000
    with store.writing() as connection:
        assert mark_started(connection, row_id, now_ms(), earlier)
    command = OverrideStore(worker, open_admin(worker.kafka))
    now = datetime.now(UTC)
    wish = wish_of(
        Decision.REVIEW, policy="*", whole_chat=False, lasts=None, actor="r9", reason="other", decided_at=now
    )
    body = block()
    seen = Seen(body.chat_id, body.verdict_id, body.fingerprint, body.source, 0)
    command.put(seen, wish, [], now)
    start()
    wait_until_sent(store, "d1")
    (left,) = overrides_on(stack, worker)
    assert left is not None
    assert left.actor == "r9"


def test_an_allow_that_would_count_for_nothing_is_refused_and_tells_why(store: Store, start: Start) -> None:
    """It is not tried for ever, holds nobody up, and an admin sees it."""
    put_row(store, block(), "d1", not_before_ms=now_ms())
    put_row(store, allow(), "d2", not_before_ms=now_ms())
    put_row(store, clear(), "d3", not_before_ms=now_ms())
    strange = put_row(store, block("chat-8"), "d4", not_before_ms=now_ms())
    with store.writing() as connection:
        connection.execute(outbox.update().where(outbox.c.id == strange).values(body=b"{}"))
    start()
    wait_until_sent(store, "d3", Kind.OVERRIDE_CLEAR)
    with store.reading() as connection:
        refusal, unreadable = sorted(refusals(connection), key=lambda one: one.decision_id)
        assert backlog(connection, now_ms()).n_waiting == 0
    assert (refusal.decision_id, unreadable.decision_id) == ("d2", "d4")
    assert "a later release wrote it" in (unreadable.error or "")
    assert "block stands for all policies" in (refusal.error or "")


def test_two_consoles_send_each_row_once_and_the_second_goes_on_when_the_first_ends(
    store: Store, stack: LocalStack, worker: WorkerSettings, start: Start
) -> None:
    """One lease; it is given back at the end."""
    first = start()
    wait_until(lambda: first.overrides.is_known, timeout_s=30)
    start()
    for i in range(20):
        put_row(store, block(f"chat-{i}"), f"d{i}", not_before_ms=now_ms())
    wait_until_sent(store, "d19")
    first.close()
    put_row(store, block("chat-last"), "last", not_before_ms=now_ms())
    wait_until_sent(store, "last")
    counted = Counter(one["decision_id"] for one in logged(stack, worker))
    assert counted == dict.fromkeys([f"d{i}" for i in range(20)] + ["last"], 1)


def test_many_rows_go_in_few_transactions(
    store: Store, stack: LocalStack, worker: WorkerSettings, start: Start
) -> None:
    """A bulk action of hundreds takes about a second; what transactions cost one by one is printed beside it."""
    n = 300
    for i in range(n):
        put_row(store, block(f"chat-{i}"), f"d{i}", not_before_ms=now_ms())
    outbox = start()
    wait_until(lambda: outbox.overrides.is_known, timeout_s=30)
    began = time.perf_counter()
    wait_until_sent(store, f"d{n - 1}")
    together_s = time.perf_counter() - began
    topic = worker.kafka.feedback_topic or ""
    one = KeyedRecord(topic, b"k", b"v")
    began = time.perf_counter()
    for _ in range(3):
        write_together(worker.kafka, [one], transactional_id=f"{worker.kafka.group_id}.override.{uuid4().hex}")
    alone_s = (time.perf_counter() - began) / 3
    writer = PipelineWriter(worker)
    writer.write([one])
    began = time.perf_counter()
    for _ in range(20):
        writer.write([one])
    kept_s = (time.perf_counter() - began) / 20
    writer.close()
    print(  # noqa: T201
        f"{n} decisions through the outbox: {together_s:.2f} s; one transaction with a producer of its own: "
        f"{1_000 * alone_s:.0f} ms; with a producer that is kept: {1_000 * kept_s:.0f} ms"
    )
    assert len(overrides_on(stack, worker)) == n


def test_nothing_is_given_up_while_the_brokers_are_away(store: Store) -> None:
    """It is put off, the state says since when, and the row stays as it is."""
    worker = worker_settings(request_timeout_s="1")
    outbox = open_outbox(store, worker, AppealSettings(), Metrics())
    row_id = put_row(store, block(), "d1", not_before_ms=now_ms())
    outbox.start()

    def is_put_off() -> bool:
        with store.reading() as connection:
            state = sending(connection, "d1", Kind.OVERRIDE_SET)
        return state is not None and state.error is not None

    wait_until(is_put_off, timeout_s=30)
    assert outbox.state.trouble is not None
    assert "Kafka at 127.0.0.1:1: no answer" in outbox.state.trouble.error
    with pytest.raises(PipelineAway):
        outbox.standing("chat-7")
    outbox.close()
    with store.reading() as connection:
        assert backlog(connection, now_ms()).n_waiting == 1
        assert refusals(connection) == []
    assert row_id == 1


def test_a_sender_that_was_overtaken_writes_nothing_more(worker: WorkerSettings, stack: LocalStack) -> None:
    """It was only slow; what it had begun would else come behind what was decided later."""
    slow, quick = PipelineWriter(worker), PipelineWriter(worker)
    topic = worker.kafka.feedback_topic or ""
    slow.open()
    quick.open()
    with pytest.raises(PipelineAway, match="another process writes under this id"):
        slow.write([KeyedRecord(topic, b"k", b"slow")])
    quick.write([KeyedRecord(topic, b"k", b"quick")])
    assert [one.value for one in records(stack, topic)] == [b"quick"]
    slow.close()
    quick.close()
