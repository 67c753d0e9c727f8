"""An erased chat leaves the database, and nothing else does; on both databases."""

import json
from typing import Any

from sqlalchemy import Table, insert, select

from console.store.erasing import ERASED, erase_chats, erased_since, name_anew
from console.store.outbox_bodies import WebhookBody
from console.store.store import Store
from console.store.tables import answers, appeals, claims, erasures, items, outbox
from schemas.erasure import chat_hash

AT_MS = 1_700_000_000_000
OLD, NEW = b"o" * 32, b"n" * 32


def hashes_of(chat_id: str) -> list[str]:
    """Hash under one key."""
    return [chat_hash(chat_id, NEW)]


def put(store: Store, table: Table, **values: Any) -> Any:
    """Write a row; what it needs besides is made up."""
    with store.writing() as connection:
        (key, *_) = connection.execute(insert(table).values(values)).inserted_primary_key or (0,)
    return key


def put_item(store: Store, chat_id: str, at_ms: int = AT_MS, **values: Any) -> int:
    """Write an item with a claim, an answer with a note, and what is to be sent of it."""
    name = f"{chat_id}{at_ms}{len(rows(store, items))}"
    item_id: int = put(
        store, items, kind="review", queue="default", state="open", verdict_id=name, chat_id=chat_id,
        chat_hash=hashes_of(chat_id)[0], topic="chat-events", partition=0, record_offset=1, timestamp_ms=at_ms,
        fingerprint="f", policies=[], taxonomy={}, category="F", evidence={}, unevaluated=[], model={}, risk=0.5,
        decided_ms=at_ms, arrived_ms=at_ms, order_ms=at_ms, n_wanted=1, **values,
    )  # fmt: skip
    claim = {"item_id": item_id, "reviewer": "ann", "token": "t", "until_ms": at_ms, "since_ms": at_ms}
    put(store, claims, **{column: value for column, value in claim.items() if column in claims.c})
    put(
        store, answers, item_id=item_id, reviewer="ann", decision_id=name[:32], outcome="allow", note="about them",
        at_ms=at_ms, is_blind=False, is_final=False,
    )  # fmt: skip
    put_unsent(store, chat_id, name[:32], at_ms + 60_000)
    return item_id


def put_unsent(store: Store, chat_id: str | None, decision_id: str, at_ms: int, **body: Any) -> None:
    """Write what is to be sent."""
    name = None if chat_id is None else hashes_of(chat_id)[0]
    put(
        store, outbox, decision_id=decision_id, kind=body.pop("kind", "feedback"), chat_id=chat_id, chat_hash=name,
        body=json.dumps({"chat_id": chat_id, **body}).encode(), created_ms=at_ms, not_before_ms=at_ms,
    )  # fmt: skip


def rows(store: Store, table: Table) -> list[dict[str, Any]]:
    """Return all rows of a table, by their keys."""
    with store.reading() as connection:
        return [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]


def erase(store: Store, *chats: str, at_ms: int = AT_MS) -> int:
    """Take that chats were erased."""
    with store.writing() as connection:
        return erase_chats(connection, {hashes_of(chat)[0]: at_ms for chat in chats}, hashes_of, now_ms=AT_MS + 9)


def test_an_erased_chats_items_lose_all_that_names_it(store: Store) -> None:
    """Id, place of the text, fingerprint, notes, claims, and what was to be sent; its number stays in the figures."""
    put_item(store, "gone")
    appeal = put_item(store, "gone")
    put(store, appeals, id="a", item_id=appeal, verdict_id="v", caller="c", reason="r", note="mine", created_ms=AT_MS)
    put_item(store, "kept")
    assert erase(store, "gone", "never seen") == 2
    for row in rows(store, items)[:2]:
        assert (row["state"], row["closed_why"], row["closed_ms"]) == (ERASED, "erased", AT_MS + 9)
        assert {row[name] for name in ("chat_id", "topic", "partition", "record_offset", "fingerprint")} == {None}
        assert row["category"] == "F"
    assert "gone" not in str([rows(store, table) for table in (claims, outbox, appeals)])
    assert [row["note"] for row in rows(store, answers)] == [None, None, "about them"]
    assert [row["note"] for row in rows(store, appeals)] == [None]
    assert [row["chat_id"] for row in rows(store, outbox)] == ["kept"]
    assert [row["item_id"] for row in rows(store, claims)] == [rows(store, items)[2]["id"]]
    assert erase(store, "gone") == 0


def test_an_open_appeal_of_an_erased_chat_is_answered_and_told(store: Store) -> None:
    """Its caller waits for an answer that nobody can give any longer."""
    for number, url in enumerate((None, "https://hooks.example/x")):
        item_id = put_item(store, "gone")
        appeal = {"id": f"a{number}", "item_id": item_id, "verdict_id": f"v{number}", "caller": "c", "reason": "r"}
        put(store, appeals, **appeal, webhook_url=url, created_ms=AT_MS)
    erase(store, "gone")
    answered = [(row["answered_ms"], row["outcome"], row["decision"]) for row in rows(store, appeals)]
    assert answered == [(AT_MS + 9, "erased", None)] * 2
    (told,) = rows(store, outbox)
    assert (told["kind"], told["decision_id"], told["not_before_ms"]) == ("webhook", "a1", AT_MS + 9)
    body = WebhookBody.model_validate_json(told["body"])
    assert (body.url, body.document["chat_id"], body.document["outcome"]) == ("https://hooks.example/x", None, "erased")
    erase(store, "gone")
    assert len(rows(store, outbox)) == 1


def test_an_answer_that_is_on_its_way_to_a_caller_stays_without_the_name(store: Store) -> None:
    """They were promised it, and it says nothing of the chat's."""
    item_id = put_item(store, "gone")
    decision = rows(store, answers)[0]["decision_id"]
    appeal = {"id": "a", "item_id": item_id, "verdict_id": "v", "caller": "c", "reason": "r", "created_ms": AT_MS}
    put(store, appeals, **appeal, answered_ms=AT_MS, outcome="accepted", decision="allow")
    body = {"appeal_id": "a", "url": "https://hooks.example/x", "document": {"chat_id": "gone", "outcome": "accepted"}}
    put_unsent(store, "gone", decision, AT_MS, kind="webhook", **body)
    erase(store, "gone")
    assert [row["outcome"] for row in rows(store, appeals)] == ["accepted"]
    (told,) = rows(store, outbox)
    assert (told["kind"], told["chat_id"], told["chat_hash"]) == ("webhook", None, None)
    assert json.loads(told["body"])["document"] == {"chat_id": None, "outcome": "accepted"}


def test_what_came_after_the_erasure_stays(store: Store) -> None:
    """A new event of the chat is a new event, and so is a decision on it."""
    put_item(store, "chat", AT_MS - 1)
    put_item(store, "chat", AT_MS + 1)
    put_unsent(store, "chat", "by the API", AT_MS + 70_000)
    assert erase(store, "chat") == 1
    assert [row["state"] for row in rows(store, items)] == [ERASED, "open"]
    assert [row["created_ms"] for row in rows(store, outbox)] == [AT_MS + 60_001, AT_MS + 70_000]


def test_the_undoing_of_what_is_erased_goes_with_it(store: Store) -> None:
    """Though it was asked for later, under an id of its own."""
    put_item(store, "chat", AT_MS - 1)
    decision = rows(store, answers)[0]["decision_id"]
    put_unsent(store, "chat", "another", AT_MS + 5, kind="override_clear", undoes=decision)
    put_unsent(store, "other", "third", AT_MS - 5)
    erase(store, "chat")
    assert [row["chat_id"] for row in rows(store, outbox)] == ["other"]


def test_the_list_keeps_the_latest_time(store: Store) -> None:
    """Records of the list come again, and may come in another order."""
    name = hashes_of("chat")[0]
    for at_ms in (AT_MS, AT_MS + 5, AT_MS + 2):
        erase(store, "chat", at_ms=at_ms)
    assert rows(store, erasures) == [{"chat_hash": name, "erased_ms": AT_MS + 5}]
    with store.reading() as connection:
        assert erased_since(connection, [name, "0" * 64]) == {name: AT_MS + 5}


def test_while_keys_are_exchanged_a_hash_under_either_is_understood(store: Store) -> None:
    """Items are named anew under the present key; a worker may still write hashes under the other."""
    put_item(store, "chat")

    def both(chat_id: str) -> list[str]:
        return [chat_hash(chat_id, OLD), chat_hash(chat_id, NEW)]

    with store.writing() as connection:
        assert name_anew(connection, both) == 2  # the item's, and what is to be sent
        assert name_anew(connection, both) == 0
    with store.writing() as connection:
        assert erase_chats(connection, {hashes_of("chat")[0]: AT_MS}, both, now_ms=AT_MS) == 1
    assert "'chat'" not in str(rows(store, items) + rows(store, outbox))


def test_without_a_key_nothing_is_named_and_nothing_fails(store: Store) -> None:
    """A pipeline without erasures."""
    put_item(store, "chat")
    with store.writing() as connection:
        assert name_anew(connection, lambda _: []) == 0
        assert erase_chats(connection, {}, lambda _: [], now_ms=AT_MS) == 0
