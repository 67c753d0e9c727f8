"""/v1/reviews: the queue for programs, by role, with who has what in each refusal."""

from dataclasses import dataclass, replace
from typing import Any

import jsonschema
import orjson
import pytest
from sqlalchemy import select

from console.openapi import PATH
from console.operations import Operations
from console.pipeline.errors import PipelineAway
from console.pipeline.text import ChatText
from console.port.keys import Keys, new_key
from console.review.queue import Queue
from console.service import Service
from console.store.store import StoreAway
from console.store.tables import access_log
from schemas import CHAT_13, Role, Turn
from tests.console.review.rows import item_row, outbox_of, put, sample_row
from tests.console.reviews.conftest import Callers
from tests.console.server import RunningConsole

BLOCK = {"outcome": "block", "reason": "policy_violation"}
_SAID = "what the chat said"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """Return the committed description of the API."""
    document: dict[str, Any] = orjson.loads(PATH.read_bytes())
    return document


def fits(description: dict[str, Any], method: str, path: str, status: int, document: Any) -> None:
    """Fail where an answer is not as the description says."""
    described = description["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator(described | {"components": description["components"]}).validate(document)


def test_an_item_goes_from_the_queue_to_the_outbox(
    callers: Callers, operations: Operations, description: dict[str, Any]
) -> None:
    """Listed, claimed, renewed, answered, undone; each answer fits the description."""
    (item_id,) = put(operations.store, item_row(1))
    page = callers.get("/v1/reviews")
    fits(description, "get", "/v1/reviews", 200, page.json)
    assert ([item["id"] for item in page.json["items"]], page.json["total"]) == ([item_id], 1)
    claim = callers.post(f"/v1/reviews/{item_id}/claim", {})
    fits(description, "post", "/v1/reviews/{item_id}/claim", 200, claim.json)
    token = {"token": claim.json["token"]}
    renewed = callers.post(f"/v1/reviews/{item_id}/renew", token)
    assert renewed.json["until_ms"] >= claim.json["until_ms"]
    taken = callers.post(f"/v1/reviews/{item_id}/answer", token | BLOCK)
    fits(description, "post", "/v1/reviews/{item_id}/answer", 200, taken.json)
    assert [kind for kind, _, _ in outbox_of(operations.store)] == ["override_set", "feedback"]
    undone = callers.post(f"/v1/reviews/answers/{taken.json['answer_id']}/undo", {})
    fits(description, "post", "/v1/reviews/answers/{answer_id}/undo", 200, undone.json)
    released = callers.post(f"/v1/reviews/{item_id}/release", {"token": undone.json["token"]})
    assert released.json == {"released": True}


def test_the_next_item_is_claimed_until_there_is_none(callers: Callers, operations: Operations) -> None:
    """Of a queue, in an order."""
    (item_id,) = put(operations.store, item_row(1))
    assert callers.post("/v1/reviews/next", {"queue": "nothing"}).json == {"claim": None}
    assert callers.post("/v1/reviews/next", {"order": "age"}).json["claim"]["item"]["id"] == item_id
    assert callers.post("/v1/reviews/next", {}).json == {"claim": None}


def test_a_conflict_says_who_has_the_item_and_who_answered(
    callers: Callers, operations: Operations, description: dict[str, Any]
) -> None:
    """For people in the message, for programs in `details`; no client tries it again."""
    (item_id,) = put(operations.store, item_row(1))
    token = callers.claimed(item_id)
    refused = callers.post(f"/v1/reviews/{item_id}/claim", {}, "bob")
    fits(description, "post", "/v1/reviews/{item_id}/claim", 409, refused.json)
    assert (refused.status, refused.error["code"]) == (409, "conflict")
    assert refused.error["details"]["claimed_by"] == "ann"
    assert refused.headers["x-should-retry"] == "false"
    callers.post(f"/v1/reviews/{item_id}/answer", {"token": token, **BLOCK})
    for act in ("claim", "renew", "answer"):
        body: dict[str, Any] = {} if act == "claim" else {"token": "0"} | (BLOCK if act == "answer" else {})
        found = callers.post(f"/v1/reviews/{item_id}/{act}", body, "bob")
        assert (found.status, found.error["details"]) == (409, {"decided_by": "ann", "outcome": "block"})


@pytest.mark.parametrize(
    ("who", "method", "path", "status"),
    [
        ("cli", "GET", "/v1/reviews", 403),
        ("vic", "GET", "/v1/reviews", 403),
        ("vic", "POST", "/v1/reviews/next", 403),
        ("vic", "POST", "/v1/reviews/1/answer", 403),
        ("vic", "GET", "/v1/reviews/1/text", 403),
        ("vic", "GET", "/v1/reviews/export", 403),
        ("cli", "GET", "/v1/reviews/figures", 403),
        ("vic", "GET", "/v1/reviews/figures", 200),
        ("ann", "GET", "/v1/reviews/export?of=everybody", 403),
        ("eve", "GET", "/v1/reviews/export?of=everybody", 200),
    ],
)
def test_each_role_may_what_it_needs(callers: Callers, who: str, method: str, path: str, status: int) -> None:
    """Checked before a byte of the body is read."""
    answer = callers.get(path, who) if method == "GET" else callers.post(path, {}, who)
    assert answer.status == status
    assert status == 200 or answer.error["code"] == "role_needed"


@pytest.mark.parametrize(
    ("path", "document", "param"),
    [
        ("/v1/reviews/1/answer", {"token": "x", "outcome": "ban"}, "outcome"),
        ("/v1/reviews/1/answer", {"outcome": "allow"}, "token"),
        ("/v1/reviews/1/answer", {"token": "x", "outcome": "allow", "whole_chat": 1}, "whole_chat"),
        ("/v1/reviews/1/answer", {"token": "x", "outcome": "allow", "extra": 1}, None),
        ("/v1/reviews/1/claim", {"extra": 1}, None),
        ("/v1/reviews/next", {"order": "random"}, "order"),
        ("/v1/reviews/next", {"queue": "a\u0000"}, "queue"),
        ("/v1/reviews?limit=0", None, "limit"),
        ("/v1/reviews?limit=many", None, "limit"),
        ("/v1/reviews?order=random", None, "order"),
        ("/v1/reviews?kind=gold", None, "kind"),
        ("/v1/reviews?after=x", None, "after"),
        ("/v1/reviews?queue=a%00", None, "queue"),
        ("/v1/reviews?colour=red", None, "the query"),
        ("/v1/reviews/export?format=xlsx", None, "format"),
        ("/v1/reviews/figures?since_ms=-1", None, "since_ms"),
    ],
)
def test_a_bad_request_is_told_which_field(callers: Callers, path: str, document: Any, param: str | None) -> None:
    """And nothing of it is quoted."""
    answer = callers.get(path) if document is None else callers.post(path, document)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_input", param)


@pytest.mark.parametrize("path", ["/v1/reviews/7/claim", "/v1/reviews/x/claim", "/v1/reviews/answers/7/undo"])
def test_what_is_not_there_is_a_404(callers: Callers, path: str) -> None:
    """Which of the reasons it is, nobody is told."""
    answer = callers.post(path, {})
    assert (answer.status, answer.error["code"]) == (404, "unknown_item")


def test_rules_of_the_settings_hold_for_programs(callers: Callers, operations: Operations) -> None:
    """A block without a reason."""
    (item_id,) = put(operations.store, item_row(1))
    answer = callers.post(f"/v1/reviews/{item_id}/answer", {"token": callers.claimed(item_id), "outcome": "block"})
    assert (answer.status, answer.error["param"]) == (400, "reason")


def test_a_console_without_a_pipeline_has_no_queue(console: RunningConsole) -> None:
    """And says which setting would give it one."""
    for method, path in (("GET", "/v1/reviews"), ("POST", "/v1/reviews/1/claim"), ("GET", "/v1/reviews/figures")):
        answer = console.ask(method, path, b"{}" if method == "POST" else None, {"content-type": "application/json"})
        assert (answer.status, answer.error["code"]) == (501, "not_implemented")
        assert "CONSOLE_PIPELINE__IS_ON" in answer.error["message"]


def test_a_database_that_is_away_is_a_503(callers: Callers, operations: Operations, monkeypatch: Any) -> None:
    """With when to ask again."""

    def away() -> Any:
        raise StoreAway("OperationalError")

    monkeypatch.setattr(operations.store, "reading", away)
    answer = callers.get("/v1/reviews")
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "store_away", "5")


def test_requests_count_against_the_limit_of_a_key(
    queue_service: Service, operations: Operations, tmp_path: Any
) -> None:
    """As those of the classifier do."""
    put(operations.store, item_row(1))
    key, digest = new_key()
    path = tmp_path / "slow.toml"
    path.write_text(
        f'[[keys]]\nname = "slow"\nsha256 = "{digest}"\nrole = "reviewer"\nconversations_per_s = 0.01\nburst = 1\n'
    )
    console = RunningConsole(queue_service, Keys(path))
    try:
        headers = {"authorization": f"Bearer {key}"}
        assert console.ask("GET", "/v1/reviews", headers=headers).status == 200
        assert console.ask("GET", "/v1/reviews", headers=headers).status == 429
    finally:
        console.close()


@dataclass
class FakeTexts:
    """Texts of no broker: this tests who may see one and what is written first; the fetch has tests of its own."""

    found: ChatText | None = None
    fault: Exception | None = None

    def of(self, topic: str, partition: int, offset: int, chat_id: str) -> ChatText | None:
        """Return what the test says."""
        assert (topic, partition, offset, chat_id) == ("chat-events", 0, 1, "chat-1")
        if self.fault is not None:
            raise self.fault
        return self.found


def text_console(service: Service, texts: Any) -> RunningConsole:
    """Return a console without keys that reads texts."""
    assert service.operations is not None
    return RunningConsole(replace(service, operations=replace(service.operations, texts=texts)))


def test_a_reveal_is_logged_before_the_text_is_shown(queue_service: Service, operations: Operations) -> None:
    """Also where the text cannot be fetched then."""
    (item_id,) = put(operations.store, item_row(1))
    turns = [Turn(Role.USER, _SAID), Turn(Role.ASSISTANT, "n\ud800o")]
    texts = FakeTexts(ChatText(turns, 0, None, f"{1:032x}"))
    console = text_console(queue_service, texts)
    try:
        answer = console.ask("GET", f"/v1/reviews/{item_id}/text")
        said = [{"role": "user", "text": _SAID}, {"role": "assistant", "text": "n?o"}]
        assert answer.json == {"turns": said, "deciding": 0, "is_changed": False}
        assert answer.headers["cache-control"] == "no-store"
        texts.found = None
        assert console.ask("GET", f"/v1/reviews/{item_id}/text").json["turns"] is None
        texts.fault = PipelineAway("no broker")
        away = console.ask("GET", f"/v1/reviews/{item_id}/text")
        assert (away.status, away.error["code"]) == (503, "pipeline_away")
    finally:
        console.close()
    with operations.store.reading() as connection:
        logged = connection.execute(select(access_log.c.actor, access_log.c.action, access_log.c.item_id)).all()
    assert [tuple(row) for row in logged] == [("local", "reveal", item_id)] * 3


def test_the_text_of_a_gold_item_is_the_files(queue_service: Service, operations: Operations, queue: Queue) -> None:
    """In the same form, logged in the same way."""
    chat = queue.gold.for_taxonomy("chat-13", CHAT_13.codes)[0]
    gold = sample_row(1, topic=None, chat_id=None, gold_key=chat.key, meant_for="local") | {"kind": "gold"}
    (item_id,) = put(operations.store, gold)
    console = text_console(queue_service, FakeTexts())
    try:
        answer = console.ask("GET", f"/v1/reviews/{item_id}/text").json
    finally:
        console.close()
    assert [turn["text"] for turn in answer["turns"]] == [turn.text for turn in chat.turns]
    assert answer["deciding"] == chat.deciding
