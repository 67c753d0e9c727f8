"""Appeals: made by a key, answered by another person, told by the outbox, and rated."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from console.metrics import Metrics
from console.operations import Operations
from console.outbox.assembly import open_outbox
from console.outbox.target import Hosts
from console.review.appealing import on_reopened, on_settled, outcome_of
from console.review.appeals import reliabilities, said_of_items, wilson
from console.service import Service
from console.settings.operations import AppealSettings
from console.store.outbox_rows import WebhookBody, cancel, due
from console.store.store import now_ms
from console.store.tables import items
from tests.console.items import put_answer, put_item
from tests.console.roles import bearer
from tests.console.server import Answer, RunningConsole
from tests.schemas.payloads import make_verdict

KNOWN = make_verdict()
ASKED = {"verdict_id": KNOWN.verdict_id, "reason": "not_an_ad", "note": "It is a recipe."}
BLOCKED = [{"name": "default", "version": "1", "decision": "block", "decided_by": "model"}]


def send(console: RunningConsole, document: dict[str, Any] | None = None, key: str = "client") -> Answer:
    """Appeal."""
    return console.ask("POST", "/v1/appeals", orjson.dumps(ASKED | (document or {})), bearer(key))


def ask(console: RunningConsole, appeal_id: str, key: str = "client") -> Answer:
    """Ask how an appeal stands."""
    return console.ask("GET", f"/v1/appeals/{appeal_id}", None, bearer(key))


def settle(operations: Operations, outcome: str, decision_id: str = "d2", *, sends_at_ms: int = 1) -> None:
    """Answer the one open appeal, as the queue does."""
    with operations.store.writing() as connection:
        row = connection.execute(select(items).where(items.c.kind == "appeal")).mappings().one()
    put_answer(operations.store, row["id"], decision_id, outcome, "bea")
    with operations.store.writing() as connection:
        settled = SimpleNamespace(
            item=SimpleNamespace(**row),
            outcome=outcome,
            reason="false_positive",
            decision_id=decision_id,
            at_ms=1_800_000_000_000,
            sends_at_ms=sends_at_ms,
        )
        on_settled(connection, settled)


@pytest.fixture
def with_hosts(operating_service: Service, operations_on_sqlite: Operations) -> Service:
    """Return a service that may tell a host the answers; three appeals an hour."""
    outbox = open_outbox(operations_on_sqlite.store, operations_on_sqlite.worker, AppealSettings(), Metrics())
    outbox = replace(outbox, hosts=Hosts.of("hooks.example", ""))
    settings = operations_on_sqlite.settings.model_copy(update={"appeals": AppealSettings(per_hour=3)})
    return replace(operating_service, operations=replace(operations_on_sqlite, outbox=outbox, settings=settings))


def test_an_appeal_is_an_item_of_a_queue_of_its_own_linked_to_what_was_answered(
    following: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """So that whoever answered that one is not asked again."""
    store = operations_on_sqlite.store
    earlier = put_item(store, policies=BLOCKED, state="done")
    put_answer(store, earlier, "d1")
    answer = send(following)
    assert (answer.status, answer.json["state"]) == (202, "open")
    with store.reading() as connection:
        row = connection.execute(select(items).where(items.c.kind == "appeal")).mappings().one()
    assert (row["queue"], row["state"], row["appealed_id"]) == ("appeals", "open", earlier)
    assert (row["chat_id"], row["fingerprint"]) == (KNOWN.chat_id, KNOWN.content_fingerprint)
    assert row["chat_hash"] is not None


def test_an_appeal_against_a_persons_decision_is_linked_to_the_item_they_answered(
    following: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """The verdict that says what they decided has another id than the one they looked at."""
    store = operations_on_sqlite.store
    answered = put_item(store, policies=BLOCKED, state="done", verdict_id="aa" * 16)
    put_answer(store, answered, "d1")
    put_item(store, policies=BLOCKED)
    assert send(following).status == 202
    with store.reading() as connection:
        row = connection.execute(select(items).where(items.c.kind == "appeal")).mappings().one()
    assert row["appealed_id"] == answered


def test_the_same_appeal_twice_is_one_and_only_its_own_key_sees_it(
    following: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """A caller may repeat a request whose answer was lost; another one's is none of their business."""
    put_item(operations_on_sqlite.store, policies=BLOCKED)
    first, again = send(following), send(following)
    assert first.json == again.json
    assert ask(following, first.json["appeal_id"]).json == first.json
    other = ask(following, first.json["appeal_id"], "other")
    assert (other.status, other.error["code"]) == (404, "unknown_appeal")
    assert ask(following, first.json["appeal_id"], "admin").status == 404
    taken = send(following, key="other")
    assert (taken.status, taken.error["code"]) == (409, "already_appealed")


def test_an_unknown_verdict_is_not_found(following: RunningConsole, operations_on_sqlite: Operations) -> None:
    """Nothing is put into the queue for it."""
    answer = send(following, {"verdict_id": "ab" * 16})
    assert (answer.status, answer.error["code"]) == (404, "unknown_verdict")
    with operations_on_sqlite.store.reading() as connection:
        assert connection.execute(select(items.c.id)).all() == []


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"chat_id": "chat-1"}, "expected exactly one"),
        ({"verdict_id": None}, "expected exactly one"),
        ({"reason": "It is wrong"}, "reason"),
        ({"note": "n" * 1_001}, "note"),
    ],
)
def test_a_bad_appeal_is_refused(following: RunningConsole, document: dict[str, Any], told: str) -> None:
    """By field."""
    answer = send(following, document)
    assert answer.status == 400
    assert told in answer.error["message"]


def test_the_answer_is_told_once_it_can_no_longer_be_taken_back(
    with_hosts: Service, operations_on_sqlite: Operations
) -> None:
    """To the caller who asks, and to their address, under the decision's id."""
    console = RunningConsole(with_hosts)
    store = operations_on_sqlite.store
    put_item(store, policies=BLOCKED)
    made = console.post("/v1/appeals", ASKED | {"webhook_url": "https://hooks.example/x"}).json
    settle(operations_on_sqlite, "allow", sends_at_ms=now_ms() + 60_000)
    assert console.ask("GET", f"/v1/appeals/{made['appeal_id']}").json["state"] == "open"
    with store.reading() as connection:
        (row,) = due(connection, now_ms() + 60_000, 10)
    assert row.decision_id == "d2"
    body = row.body
    assert isinstance(body, WebhookBody)
    assert body.url == "https://hooks.example/x"
    assert body.document == {
        "appeal_id": made["appeal_id"],
        "verdict_id": KNOWN.verdict_id,
        "chat_id": KNOWN.chat_id,
        "outcome": "accepted",
        "decision": "allow",
        "reason": "false_positive",
        "answered_at": "2027-01-15T08:00:00.000+00:00",
    }
    with store.writing() as connection:
        # Undone: the queue cancels what the decision has in the outbox, and says so.
        assert cancel(connection, "d2", now_ms())
        item = connection.execute(select(items).where(items.c.kind == "appeal")).mappings().one()
        on_reopened(connection, SimpleNamespace(**item))
    settle(operations_on_sqlite, "block", "d3")
    told = console.ask("GET", f"/v1/appeals/{made['appeal_id']}").json
    assert (told["state"], told["outcome"], told["decision"], told["webhook"]) == (
        "answered",
        "rejected",
        "block",
        "waiting",
    )
    console.close()


def test_an_answer_without_an_address_is_only_asked_for(
    following: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """And other items' answers are no appeal's."""
    put_item(operations_on_sqlite.store, policies=BLOCKED)
    made = send(following).json
    settle(operations_on_sqlite, "allow")
    told = ask(following, made["appeal_id"]).json
    assert (told["state"], told["outcome"], told["reason"], told["webhook"]) == (
        "answered",
        "accepted",
        "false_positive",
        None,
    )
    with operations_on_sqlite.store.writing() as connection:
        on_settled(connection, SimpleNamespace(item=SimpleNamespace(kind="review"), outcome="allow"))
        assert due(connection, now_ms(), 10) == []


def test_an_address_that_is_not_allowed_is_refused_at_once(
    with_hosts: Service, operations_on_sqlite: Operations, following: RunningConsole
) -> None:
    """Better than an answer that never comes; where none is allowed the setting is named."""
    put_item(operations_on_sqlite.store, policies=BLOCKED)
    console = RunningConsole(with_hosts)
    refused = console.post("/v1/appeals", ASKED | {"webhook_url": "https://evil.example/?secret"})
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "webhook_refused", "webhook_url")
    assert "evil" not in refused.raw.decode()
    console.close()
    none = send(following, {"webhook_url": "https://hooks.example/x"})
    assert none.status == 501
    assert "CONSOLE_APPEALS__WEBHOOK_HOSTS" in none.error["message"]


def test_a_key_may_make_so_many_in_an_hour(with_hosts: Service, operations_on_sqlite: Operations) -> None:
    """What it made already can still be asked for."""
    console = RunningConsole(with_hosts)
    for i in range(4):
        put_item(operations_on_sqlite.store, policies=BLOCKED, verdict_id=f"{i:02}" * 16)
    statuses = [console.post("/v1/appeals", ASKED | {"verdict_id": f"{i:02}" * 16}).status for i in range(4)]
    assert statuses == [202, 202, 202, 429]
    refused = console.post("/v1/appeals", ASKED | {"verdict_id": "03" * 16})
    assert refused.error["code"] == "too_many_appeals"
    assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
    assert console.post("/v1/appeals", ASKED | {"verdict_id": "00" * 16}).status == 202
    console.close()


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        ("block", "allow", "accepted"),
        ("review", "allow", "accepted"),
        ("block", "block", "rejected"),
        ("review", "block", "rejected"),
        ("allow", "block", "accepted"),
        ("allow", "allow", "rejected"),
    ],
)
def test_accepted_means_that_the_decision_changes(before: str, after: str, outcome: str) -> None:
    """A `review` that becomes a `block` is no success of whoever objected."""
    assert outcome_of(before, after) == outcome


def test_a_callers_share_of_won_appeals_is_a_figure_for_viewers(
    following: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """With an interval: one of one is no certainty."""
    put_item(operations_on_sqlite.store, policies=BLOCKED)
    send(following)
    with operations_on_sqlite.store.reading() as connection:
        assert reliabilities(connection, now_ms())[0].share is None
    settle(operations_on_sqlite, "allow")
    answer = following.ask("GET", "/v1/appeals", None, bearer("viewer"))
    (one,) = answer.json["callers"]
    assert (one["caller"], one["n"], one["n_answered"], one["n_accepted"], one["share"]) == ("client", 1, 1, 1, 1.0)
    assert 0.2 < one["low"] < 0.21
    assert following.ask("GET", "/v1/appeals", None, bearer("client")).status == 403


def test_the_interval_is_wilsons() -> None:
    """Against values from a table: 8 of 10, and none of none."""
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson(0, 0) == (0.0, 1.0)


def test_whoever_answers_sees_what_the_caller_said(following: RunningConsole, operations_on_sqlite: Operations) -> None:
    """Beside the item; of items that are no appeals there is nothing."""
    review = put_item(operations_on_sqlite.store, policies=BLOCKED)
    send(following)
    with operations_on_sqlite.store.reading() as connection:
        appeal = connection.execute(select(items.c.id).where(items.c.kind == "appeal")).scalar_one()
        found = said_of_items(connection, [review, appeal])
    assert found == {appeal: ("client", "not_an_ad", "It is a recipe.")}
