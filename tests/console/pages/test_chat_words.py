"""What people say on the page Chat, and who may: the routes, on SQLite."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from console.app import make_api
from console.pages import PAGES
from console.pipeline.text import ChatText
from console.service import Service
from console.store import outbox_rows
from console.store.outbox_rows import Kind, OverrideClearBody
from console.store.store import now_ms
from console.store.tables import access_log, outbox
from schemas import Role, Turn
from schemas.erasure import chat_hash
from testkit.waiting import wait_until
from tests.console.items import put_answer, put_item
from tests.console.operations import HASH_KEY
from tests.console.pages.following import KEYS, Follow, Followed
from tests.console.server import Answer

CHAT = "chat \u202e<b> /../%00"
ID = "0a" * 16
SOURCE = {"topic": "chat-events", "partition": 0, "offset": 3, "timestamp_ms": 1_000}
WORD = {
    "decision_id": ID,
    "chat_id": CHAT,
    "verdict_id": "0f" * 16,
    "fingerprint": "1e" * 16,
    "source": SOURCE,
    "decision": "block",
    "policy": "*",
    "reason": "policy_violation",
    "whole_chat": False,
    "expires_in_s": None,
}
REPORT = {
    "decision_id": ID,
    "chat_id": CHAT,
    "verdict_id": "0f" * 16,
    "fingerprint": "1e" * 16,
    "source": SOURCE,
    "taxonomy": {"name": "chat-13", "version": "1"},
    "category": "D",
    "decision": None,
    "note": "obviously",
}
TEXT = {"chat_id": CHAT, "topic": "chat-events", "partition": 0, "offset": 3, "fingerprint": "1e" * 16}


def post(followed: Followed, path: str, document: dict[str, Any], who: str = "reviewer") -> Answer:
    """Post as somebody."""
    return followed.console.post(path, document, authorization=f"Bearer {KEYS[who]}")


def get(followed: Followed, path: str, who: str = "reviewer") -> Answer:
    """Ask as somebody."""
    return followed.console.ask("GET", path, headers={"authorization": f"Bearer {KEYS[who]}"})


@pytest.fixture
def followed(follow: Follow) -> Followed:
    """Return a console with keys."""
    return follow(with_keys=True)


def rows(followed: Followed) -> list[dict[str, Any]]:
    """Return what stands in the outbox."""
    with followed.operations.store.reading() as connection:
        return [dict(row) for row in connection.execute(select(outbox)).mappings()]


def test_a_decision_stands_in_the_outbox_once(followed: Followed) -> None:
    """With who decided, from the login and not from the request; sent again it is the same row."""
    before = now_ms()
    for _ in range(2):
        answer = post(followed, "/chat/override", WORD | {"actor": "somebody", "decided_ms": 1})
        assert answer.status == 200, answer.raw
    (row,) = rows(followed)
    body = orjson.loads(row["body"])
    assert (row["kind"], row["chat_id"], row["decision_id"]) == ("override_set", CHAT, ID)
    assert row["chat_hash"] == chat_hash(CHAT, HASH_KEY.encode())
    assert body["actor"] == "reviewer"
    assert body["decided_ms"] >= before
    assert (body["decision"], body["policy"], body["source"]["offset"]) == ("block", "*", 3)
    assert row["not_before_ms"] >= before + 10_000


def test_it_can_be_undone_until_it_is_on_its_way(followed: Followed) -> None:
    """Then nothing is sent; later it is told to be too late."""
    post(followed, "/chat/override", WORD)
    assert post(followed, "/chat/undo", {"decision_id": ID}).json == {"undone": True}
    assert get(followed, f"/chat/sent?decision_id={ID}&kind=override_set").json["state"] == "cancelled"
    other = "0b" * 16
    post(followed, "/chat/clear", {"decision_id": other, "chat_id": CHAT, "policy": "*", "reason": "other"})
    with followed.operations.store.writing() as connection:
        (row,) = [one for one in outbox_rows.due(connection, now_ms() + 60_000, 10) if one.decision_id == other]
        assert row.kind is Kind.OVERRIDE_CLEAR
        assert outbox_rows.start(connection, row.id, now_ms())
        outbox_rows.sent(connection, row.id, now_ms())
    assert post(followed, "/chat/undo", {"decision_id": other}).json == {"undone": False}
    assert get(followed, f"/chat/sent?decision_id={other}&kind=override_clear").json["state"] == "sent"


def test_nobody_takes_back_what_another_said_nor_what_the_queue_said(followed: Followed) -> None:
    """An id that became known is no right to it; an answer of the queue without its rows would do nothing."""
    said = OverrideClearBody(chat_id=CHAT, policy="*", actor="somebody", reason="other")
    own = said.model_copy(update={"actor": "reviewer"})
    item_id = put_item(followed.operations.store)
    put_answer(followed.operations.store, item_id, "2c" * 16, reviewer="reviewer")
    with followed.operations.store.writing() as connection:
        for decision_id, body in (("1c" * 16, said), ("2c" * 16, own)):
            outbox_rows.put(
                connection, Kind.OVERRIDE_CLEAR, decision_id, body, chat_id=CHAT, chat_hash=None, not_before_ms=now_ms()
            )
    for decision_id in ("1c" * 16, "2c" * 16, "3c" * 16):
        refused = post(followed, "/chat/undo", {"decision_id": decision_id})
        assert (refused.status, refused.error["code"]) == (404, "not_found")
        word = {"decision_id": decision_id, "chat_id": CHAT, "policy": "*", "reason": "other"}
        assert post(followed, "/chat/clear", word).status == (200 if decision_id == "3c" * 16 else 400)
    assert [row["cancelled_ms"] for row in rows(followed)] == [None, None, None]
    states = [get(followed, f"/chat/sent?decision_id={one * 16}&kind=override_clear") for one in ("1c", "2c", "3c")]
    assert [state.status for state in states] == [404, 404, 200]


def test_a_report_is_feedback_of_whoever_reports(followed: Followed) -> None:
    """It says what would be right."""
    assert post(followed, "/chat/report", REPORT | {"reporter": "somebody"}).status == 200
    (row,) = rows(followed)
    body = orjson.loads(row["body"])
    assert (row["kind"], body["reporter"], body["category"], body["note"]) == ("feedback", "reviewer", "D", "obviously")


@pytest.mark.parametrize(
    ("path", "document", "named"),
    [
        ("/chat/override", WORD | {"reason": "mood"}, "reason"),
        ("/chat/override", WORD | {"decision": "review"}, "decision"),
        ("/chat/override", WORD | {"decision": "maybe"}, "decision"),
        ("/chat/override", WORD | {"source": {"topic": "x"}}, "source"),
        ("/chat/override", WORD | {"decision_id": "1"}, "decision_id"),
        ("/chat/override", WORD | {"expires_in_s": -1}, "expires_in_s"),
        ("/chat/override", WORD | {"chat_id": ""}, "chat_id"),
        ("/chat/clear", {"decision_id": ID, "reason": "other"}, "chat_id"),
        ("/chat/report", REPORT | {"category": None}, "category"),
        ("/chat/report", REPORT | {"note": "x" * 1_001}, "note"),
        ("/chat/undo", {}, "decision_id"),
        ("/chat/text", TEXT | {"offset": -1}, "offset"),
        ("/chat/text", TEXT | {"partition": True}, "partition"),
        ("/chat/text", TEXT | {"topic": ""}, "topic"),
        ("/chat/text", TEXT | {"chat_id": "x" * 257}, "id"),
    ],
)
def test_what_cannot_be_is_refused_by_name(followed: Followed, path: str, document: dict[str, Any], named: str) -> None:
    """And nothing of it is kept or quoted."""
    answer = post(followed, path, document)
    assert answer.status == 400
    assert named in answer.error["message"]
    assert "xxx" not in answer.error["message"]
    assert rows(followed) == []


def test_a_text_is_shown_after_the_look_was_logged(followed: Followed) -> None:
    """By whom, at which record, and which chat without naming it."""
    followed.texts.by_place["chat-events", 0, 3] = ChatText([Turn(Role.USER, "hello")], 0, "e", "1e" * 16)
    answer = post(followed, "/chat/text", TEXT)
    assert answer.json == {"turns": [{"role": "user", "text": "hello"}], "deciding": 0, "is_same": True}
    assert post(followed, "/chat/text", TEXT | {"fingerprint": "2e" * 16}).json["is_same"] is False
    assert post(followed, "/chat/text", TEXT | {"offset": 4}).json["turns"] is None
    with followed.operations.store.reading() as connection:
        logged = [dict(row) for row in connection.execute(select(access_log)).mappings()]
    assert len(logged) == 3
    assert (logged[0]["actor"], logged[0]["action"]) == ("reviewer", "reveal")
    assert logged[0]["chat_hash"] == chat_hash(CHAT, HASH_KEY.encode())
    assert logged[0]["detail"] == {"topic": "chat-events", "partition": 0, "offset": 3}
    assert CHAT not in str(logged)


def test_no_text_without_a_log(followed: Followed) -> None:
    """The database is away: the text stays unread."""
    followed.texts.by_place["chat-events", 0, 3] = ChatText([Turn(Role.USER, "hello")], 0, "e", "1e" * 16)
    with followed.operations.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE access_log")
    answer = post(followed, "/chat/text", TEXT)
    assert (answer.status, answer.error["code"]) == (503, "store_away")
    assert b"hello" not in answer.raw


def test_kafka_away_is_said(followed: Followed) -> None:
    """For texts and for histories."""
    followed.texts.is_away = followed.histories.is_away = True
    for answer in (post(followed, "/chat/text", TEXT), get(followed, "/chat/history?id=x")):
        assert (answer.status, answer.error["code"]) == (503, "pipeline_away")


@pytest.mark.parametrize("path", ["/chat/text", "/chat/override", "/chat/clear", "/chat/report", "/chat/undo"])
def test_a_viewer_reads_no_text_and_decides_nothing(followed: Followed, path: str) -> None:
    """Whatever their page shows."""
    answer = post(followed, path, WORD | TEXT, "viewer")
    assert (answer.status, answer.error["code"]) == (403, "role_needed")
    assert rows(followed) == []


def test_a_viewer_sees_verdicts_and_figures(followed: Followed) -> None:
    """Without a key nobody does; a history needs an id that can be one."""
    for path in ("/live", "/live/newest", "/live/figures", "/live/state", "/chat", "/chat/history?id=x"):
        assert get(followed, path, "viewer").status == 200
        assert followed.console.ask("GET", path).status == 401
    assert get(followed, "/chat/history", "viewer").status == 400
    assert get(followed, f"/chat/history?id={'x' * 257}", "viewer").status == 400
    assert get(followed, "/live/newest?decision=maybe", "viewer").status == 400
    assert get(followed, "/live/newest?decided_by=x", "viewer").status == 400
    assert get(followed, f"/live/newest?chat={'x' * 300}", "viewer").status == 400
    assert get(followed, f"/live/newest?after={'x.1,' * 1_000}", "viewer").status == 200


def test_without_a_pipeline_there_are_no_such_pages(service: Service) -> None:
    """The routes of a console that follows nothing."""
    paths = {getattr(route, "path", "") for route in make_api(service, PAGES).routes}
    assert "/try" in paths
    assert not {"/live", "/chat"} & paths


def test_a_fourth_search_waits(followed: Followed) -> None:
    """Each reads a partition; whoever comes later is told when to ask again."""
    followed.histories.waiting = threading.Event()
    with ThreadPoolExecutor(3) as three:
        asked = [three.submit(get, followed, f"/chat/history?id=chat-{i}") for i in range(3)]
        wait_until(lambda: len(followed.histories.asked) == 3, timeout_s=60)
        refused = get(followed, "/chat/history?id=chat-4")
        followed.histories.waiting.set()
        assert [one.result().status for one in asked] == [200, 200, 200]
    assert (refused.status, refused.error["code"]) == (429, "too_many_searches")
    assert refused.headers["retry-after"] == "2"
    assert get(followed, "/chat/history?id=chat-4").status == 200
