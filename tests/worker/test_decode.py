"""Records to events: total, in order, and alike whether a chat said the same before or not."""

from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import (
    CodecLimits,
    RejectionReason,
    Role,
    Turn,
    ValueFormat,
    content_fingerprint,
    decode_chat_event,
    estimated_decoded_bytes,
)
from schemas.marker import TOMBSTONE
from tests.bad_inputs import bad_inputs
from tests.worker.payloads import record, tombstone
from worker.cache.entries import cache_entries
from worker.decode import KEPT_BYTES, LONGEST_KEPT_BYTES, Decoder
from worker.record import Event, Record

LIMITS = CodecLimits()


def events_of(decoder: Decoder, records: Iterable[Record]) -> list[Event]:
    """Return the events of these records."""
    return [row.event for row in decoder.decode(records) if row.event is not None]


@given(values=st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=20))
def test_any_bytes_become_one_event_or_one_rejection_each(values: list[bytes | None]) -> None:
    """Bad bytes are data, never exceptions: one of them must not stop the batch."""
    records = [Record("t", 0, i, 0, None, value) for i, value in enumerate(values)]
    rows = Decoder(LIMITS).decode(records)
    assert [row.record for row in rows] == records
    assert all((row.event is None) != (row.rejection is None) for row in rows)
    assert all(row.event is None or row.event.record is row.record for row in rows)


def test_every_bad_input_of_the_list_is_rejected_with_its_reason() -> None:
    """The reason code is the contract with whoever reads the dead letters."""
    for bad in bad_inputs():
        (row,) = Decoder(LIMITS).decode([Record("t", 0, 0, 0, None, bad.value)])
        assert (row.rejection.reason.value if row.rejection else None) == (bad.reason or None), bad.name


def test_events_keep_their_order_between_rejections() -> None:
    """I3: order per chat."""
    records = [record(1), record(2, value=b"{"), record(3), tombstone(4), record(5)]
    rows = Decoder(LIMITS).decode(records)
    assert [row.event.record.offset for row in rows if row.event] == [1, 3, 5]
    assert [(row.record.offset, row.rejection.reason) for row in rows if row.rejection] == [
        (2, RejectionReason.DECODE_ERROR),
        (4, RejectionReason.DECODE_ERROR),
    ]


def test_the_fingerprint_is_that_of_the_content() -> None:
    """The cache recognises a chat by it."""
    one = record(1)
    (event,) = events_of(Decoder(LIMITS), [one])
    assert event.fingerprint == content_fingerprint(decode_chat_event(one.value, LIMITS))


TEXTS = st.sampled_from(["", "\u200b", "one", "two"])
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "nobody"]), "content": st.one_of(TEXTS, st.just(1))},
        optional={"id": st.sampled_from([1, 1.0, True, 1.5, "1", None])},
    ),
    max_size=2,
)
DOCUMENTS = st.fixed_dictionaries(
    {"chat_id": st.sampled_from(["a", "b", "", 1, None])},
    optional={
        "messages": st.one_of(MESSAGES, st.none(), st.just("text")),
        "query": st.one_of(TEXTS, st.none()),
        "formatted_chat": st.one_of(TEXTS, st.none()),
        "event_id": st.sampled_from(["e1", "e2", 3, 1.5, None]),
        "schema_version": st.sampled_from([1, 2]),
    },
)


@given(documents=st.lists(DOCUMENTS, max_size=12))
def test_what_a_chat_said_before_changes_no_answer(documents: list[dict[str, Any]]) -> None:
    """Same texts, other texts, other fields, invalid ones in between: as if each record were the first."""
    decoder = Decoder(LIMITS)
    for offset, document in enumerate(documents):
        one = [Record("t", 0, offset, 0, None, orjson.dumps(document))]
        assert decoder.decode(one) == Decoder(LIMITS).decode(one)


def test_the_same_texts_are_validated_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a new event id; not once the chat has said something else, and not for longer events."""
    counted: list[str] = []

    def fingerprint(turns: Any, *, holds_unread: bool) -> str:  # noqa: ARG001
        counted.append(turns[0].text)
        return turns[0].text

    monkeypatch.setattr("worker.decode.turns_fingerprint", fingerprint)
    decoder, long = Decoder(LIMITS), "x" * LONGEST_KEPT_BYTES
    for number, text in enumerate(["one", "one", "two", "one", long, long]):
        messages = [{"role": "user", "content": text}]
        (event,) = events_of(decoder, [record(number, chat_id="a", event_id=number, messages=messages)])
        assert (event.chat.event_id, event.fingerprint, event.turns[0].text) == (number, text, text)
    assert counted == ["one", "two", "one", long, long]


def saying(chat: int, n_characters: int) -> Record:
    """Return a record of a chat that says so much."""
    return record(chat, chat_id=f"chat-{chat}", messages=[{"role": "user", "content": "x" * n_characters}])


def test_the_chats_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory grows neither with the number of chats nor with their length."""
    counted: list[str] = []

    def fingerprint(turns: Any, *, holds_unread: bool) -> str:  # noqa: ARG001
        counted.append(turns[0].text)
        return "same"

    def n_read_anew(*records: Record) -> int:
        n_before = len(counted)
        decoder.decode(records)
        return len(counted) - n_before

    monkeypatch.setattr("worker.decode.turns_fingerprint", fingerprint)
    decoder, n_chats, n_characters = Decoder(LIMITS), 1_000, 10_000
    chats = [saying(chat, n_characters) for chat in range(n_chats)]
    n_kept = KEPT_BYTES // estimated_decoded_bytes(chats[-1].value)
    for _ in range(2):
        # The second time after the cases below: what they kept and forgot was counted right.
        assert n_read_anew(*chats) == n_chats
        assert n_read_anew(*chats[-n_kept:]) == 0
        # The newest of the forgotten ones takes the place of the oldest of the kept ones, and that one of the next.
        assert [n_read_anew(chats[-n_kept - 1]), n_read_anew(chats[-n_kept])] == [1, 1]
        assert n_read_anew(saying(n_chats - 1, 5), saying(n_chats - 2, LONGEST_KEPT_BYTES)) == 2
        # A chat is kept as it was last; one that became too long is not kept any more.
        assert n_read_anew(saying(n_chats - 1, 5)) == 0
        assert n_read_anew(saying(n_chats - 2, LONGEST_KEPT_BYTES), chats[-2]) == 2


def counted_in(*documents: dict[str, Any]) -> dict[str, int]:
    """Return what a decoder says it left out of these chats."""
    counts: dict[str, int] = {}

    def count(what: str, n: int) -> None:
        counts[what] = counts.get(what, 0) + n

    Decoder(LIMITS, count).decode(record(offset, chat_id="a", **document) for offset, document in enumerate(documents))
    return counts


def test_what_is_left_out_of_an_event_is_counted_each_time() -> None:
    """The second of these says what the first said, and is not read again."""
    parts = [{"type": "text", "text": "hi"}, {"type": "image_url"}, {"type": "input_audio"}]
    chat = {"messages": [{"role": "user", "content": parts}], "event_id": "x" * 300, "occurred_at": 10.0**30}
    assert counted_in(chat, chat) == {"image": 2, "audio": 2, "event_id": 2, "occurred_at": 2}


def test_nothing_is_counted_of_an_ordinary_event() -> None:
    """A metric that always moves tells nothing; `1.0` is the `1` that it becomes."""
    assert counted_in({"event_id": 1.0, "occurred_at": "2026-01-01"}, {"event_id": "e", "occurred_at": 1.5}) == {}


def test_an_event_keeps_what_is_read_of_a_long_chat_and_its_fingerprint_covers_the_rest() -> None:
    """A chat that changes in what is left out is another state of it."""
    long = {"role": "user", "content": "x" * 100}
    chats = [
        [{"role": "user", "content": "first"}, {"role": "user", "content": text}, *[long] * 1_500] for text in "ab"
    ]
    events = events_of(Decoder(LIMITS), (record(offset, messages=messages) for offset, messages in enumerate(chats)))
    assert [event.turns for event in events] == [[Turn(Role.USER, "first"), *[Turn(Role.USER, "x" * 100)] * 1_000]] * 2
    assert events[0].fingerprint != events[1].fingerprint
    for event, messages in zip(events, chats, strict=True):
        assert event.fingerprint == content_fingerprint(
            decode_chat_event(orjson.dumps({"chat_id": "a", "messages": messages}), LIMITS)
        )


def test_a_key_that_is_not_the_chat_id_is_told_with_the_chat_that_the_value_names() -> None:
    """Of a record that is rejected too: then the key alone may name the chat."""
    told: list[tuple[int, str | None]] = []
    decoder = Decoder(LIMITS, on_key=lambda record, chat_id: told.append((record.offset, chat_id)))
    decoder.decode(
        [
            record(1)._replace(key=b"chat-1"),
            record(2)._replace(key=None),
            record(3)._replace(key=b'"chat-3"'),
            record(4, value=b"{")._replace(key=None),
            record(5, messages=5)._replace(key=b"x"),
        ]
    )
    assert told == [(2, "chat-2"), (3, "chat-3"), (4, None), (5, "chat-5")]


def test_an_envelope_is_taken_off_and_the_record_stays_as_it_came() -> None:
    """A dead letter holds the raw bytes, which a redrive reads by the same format."""
    value = orjson.dumps({"specversion": "1.0", "data": orjson.loads(record(1).value or b"")})
    decoder = Decoder(LIMITS, value_format=ValueFormat.CLOUDEVENTS)
    row, *_ = decoder.decode([record(1, value=value)])
    assert row.event is not None
    assert (row.event.chat.chat_id, row.event.turns) == ("chat-1", [Turn(Role.USER, "text 1")])
    assert row.record.value == value
    (plain,) = Decoder(LIMITS).decode([record(1, value=value)])
    assert plain.rejection is not None


def test_what_is_left_out_of_an_envelope_is_counted() -> None:
    """Behind a JSON column no quote is plain."""
    parts = [{"type": "image_url"}, {"type": "text", "text": "hi"}]
    messages = orjson.dumps([{"role": "user", "content": parts}]).decode()
    told: list[tuple[str, int]] = []
    decoder = Decoder(LIMITS, lambda what, n: told.append((what, n)), value_format=ValueFormat.DEBEZIUM)
    decoder.decode([record(1, value=orjson.dumps({"op": "c", "after": {"chat_id": "c", "messages": messages}}))])
    assert told == [("image", 1)]


def test_a_tombstone_and_a_deleted_row_erase_and_a_broken_record_does_not() -> None:
    """The first two are what upstream asked for; with `on_rejected=keep` only they change the cache."""
    deleted = orjson.dumps({"op": "d", "before": {"chat_id": "c"}, "after": None})
    decoder = Decoder(LIMITS, value_format=ValueFormat.DEBEZIUM)
    rows = decoder.decode([tombstone(1), record(2, value=deleted), record(3, value=b"{")])
    assert [row.rejection is not None and row.rejection.erases for row in rows] == [True, True, False]
    left = [(entry.chat_id, entry.rejected) for entry in cache_entries(rows)]
    assert left == [("chat-1", TOMBSTONE), ("c", TOMBSTONE), ("key", "decode_error")]


def test_the_texts_of_an_erased_chat_do_not_stay_in_memory() -> None:
    """They are kept for the chat's next event, until others take their place: for an erased chat that is too long."""
    decoder = Decoder(LIMITS)
    first, again = events_of(decoder, [record(1, chat_id="chat-1"), record(1, chat_id="chat-1")])
    assert again.turns is first.turns
    later = events_of(decoder, [tombstone(2), record(1, chat_id="chat-1")])
    assert later[0].turns == first.turns
    assert later[0].turns is not first.turns
