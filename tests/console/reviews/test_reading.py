"""Export and figures: whole, without noise, safe in a spreadsheet, logged, and each to whom it belongs."""

import csv
import io
import json
from typing import Any

import pytest
from sqlalchemy import select

from console.operations import Operations
from console.review import decisions
from console.review.item import Wish
from console.review.queue import Queue
from console.reviews import export
from console.store.tables import access_log
from tests.console.review.rows import item_row, put, sample_row
from tests.console.review.test_answering import BLOCK, answered
from tests.console.reviews.conftest import Callers


def rows_of(callers: Callers, query: str = "", who: str = "eve") -> list[dict[str, Any]]:
    """Return the rows of an export as JSON lines."""
    return [json.loads(line) for line in callers.get(f"/v1/reviews/export{query}", who).raw.splitlines()]


def test_an_export_holds_one_row_an_answer_and_no_noise(callers: Callers, operations: Operations, queue: Queue) -> None:
    """Claims and renewals are not in it, undone answers are marked."""
    first, second = put(operations.store, item_row(2), item_row(1))
    token = queue.claim(second, "bob").token
    queue.renew(second, "bob", token)
    taken = answered(queue, first, Wish("block", category="A", reason="other", note="a note"))
    queue.undo(taken.answer_id, "ann")
    queue.answer(second, "bob", token, Wish("skip"))
    block, skip = rows_of(callers, "?of=everybody")
    assert tuple(block) == decisions.COLUMNS
    expected = {"reviewer": "ann", "outcome": "block", "category": "A", "model_category": "M", "note": "a note"}
    assert block.items() >= expected.items()
    assert block["decided_before"] == "default 2 review"
    assert block["undone_at"].endswith("Z")
    assert (skip["outcome"], skip["undone_at"], skip["chat_id"]) == ("skip", None, "chat-1")


def test_a_reviewer_exports_their_own_and_learns_nothing_of_blind_items(
    callers: Callers, operations: Operations, queue: Queue
) -> None:
    """Gold and sample look the same, for admins they do not."""
    review, sample = put(operations.store, item_row(3), sample_row(2))
    (gold,) = put(operations.store, sample_row(1, gold_key="g", meant_for="ann") | {"kind": "gold", "policies": []})
    for item_id in (sample, gold):
        answered(queue, item_id, Wish("allow"))
    answered(queue, review, BLOCK, "bob")
    own = rows_of(callers, who="ann")
    assert [(row["kind"], row["verdict_id"], row["model_category"], row["decided_before"]) for row in own] == [
        ("sample", None, None, None)
    ] * 2
    assert [row["kind"] for row in rows_of(callers, "?of=everybody")] == ["sample", "gold", "review"]


def test_a_cell_is_never_a_formula(callers: Callers, operations: Operations, queue: Queue) -> None:
    """Whatever a reviewer writes into a note, and whatever a chat is called."""
    ids = put(operations.store, item_row(2, chat_id="=1+1"), item_row(1))
    answered(queue, ids[0], Wish("allow", note='=HYPERLINK("http://x.example","y")\nsecond, line'))
    answered(queue, ids[1], Wish("allow", note="  @SUM(A1)"))
    raw = callers.get("/v1/reviews/export?format=csv&of=everybody", "eve")
    assert raw.headers["content-type"] == "text/csv; charset=utf-8"
    header, *rows = csv.reader(io.StringIO(raw.raw.decode()))
    notes = [row[header.index("note")] for row in rows]
    assert notes == ['\'=HYPERLINK("http://x.example","y")\nsecond, line', "'  @SUM(A1)"]
    assert rows[0][header.index("chat_id")] == "'=1+1"
    assert rows[0][header.index("whole_chat")] == "false"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "\uff1d1", " =1"])
def test_every_beginning_of_a_formula_is_escaped(text: str) -> None:
    """The wide forms, too."""
    ((cell,),) = csv.reader(io.StringIO(export.written([[text]]).decode(), newline=""))
    assert cell == f"'{text}"


def test_a_long_export_is_written_as_it_is_read(
    callers: Callers, operations: Operations, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over chunks, without a gap or a repeat."""
    monkeypatch.setattr(export, "CHUNK", 2)
    ids = put(operations.store, *(item_row(n) for n in range(5)))
    for item_id in ids:
        answered(queue, item_id, Wish("allow"))
    assert [row["item_id"] for row in rows_of(callers, "?of=everybody")] == ids


def test_each_export_is_logged(callers: Callers, operations: Operations) -> None:
    """Who, whose, and of which time."""
    callers.get("/v1/reviews/export?format=csv&since_ms=5&until_ms=9", "ann")
    with operations.store.reading() as connection:
        row = connection.execute(select(access_log)).mappings().one()
    assert (row["actor"], row["action"]) == ("ann", "export")
    assert row["detail"] == {"format": "csv", "of": "own", "since_ms": 5, "until_ms": 9}


def test_figures_of_others_are_for_admins(callers: Callers, operations: Operations, queue: Queue) -> None:
    """Everybody sees how the queue stands, how far people agree, and how good the automation is."""
    for item_id, who in zip(put(operations.store, item_row(2), item_row(1)), ("ann", "bob"), strict=True):
        answered(queue, item_id, BLOCK, who)
    put(operations.store, item_row(9))
    seen = {who: callers.get("/v1/reviews/figures", who).json for who in ("ann", "vic", "eve")}
    assert [one["reviewer"] for one in seen["eve"]["reviewers"]] == ["ann", "bob"]
    assert [one["reviewer"] for one in seen["ann"]["reviewers"]] == ["ann"]
    assert seen["vic"]["reviewers"] == []
    assert seen["vic"]["queues"][0]["n_open"] == 1
    assert seen["vic"]["n_items"] == 2
