"""Records to events: total, in order, and alike whether a chat said the same before or not."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import CodecLimits, RejectionReason, content_fingerprint
from tests.bad_inputs import bad_inputs
from tests.worker.payloads import record, tombstone
from worker.decode import _KEPT_BYTES, _LONGEST_KEPT_BYTES, Decoder
from worker.record import Record

LIMITS = CodecLimits()


@given(values=st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=20))
def test_any_bytes_become_one_event_or_one_rejection_each(values: list[bytes | None]) -> None:
    """Bad bytes are data, never exceptions: one of them must not stop the batch."""
    records = [Record("t", 0, i, 0, None, value) for i, value in enumerate(values)]
    events, rejected = Decoder(LIMITS).decode(records)
    assert sorted([e.record for e in events] + [r.record for r in rejected], key=lambda r: r.offset) == records


def test_every_bad_input_of_the_list_is_rejected_with_its_reason() -> None:
    """The reason code is the contract with whoever reads the dead letters."""
    for bad in bad_inputs():
        _, rejected = Decoder(LIMITS).decode([Record("t", 0, 0, 0, None, bad.value)])
        assert [one.reason.value for one in rejected] == ([bad.reason] if bad.reason else []), bad.name


def test_events_keep_their_order_between_rejections() -> None:
    """I3: order per chat."""
    records = [record(1), record(2, value=b"{"), record(3), tombstone(4), record(5)]
    events, rejected = Decoder(LIMITS).decode(records)
    assert [event.record.offset for event in events] == [1, 3, 5]
    assert [(one.record.offset, one.reason) for one in rejected] == [
        (2, RejectionReason.DECODE_ERROR),
        (4, RejectionReason.DECODE_ERROR),
    ]


def test_the_fingerprint_is_that_of_the_content() -> None:
    """The cache recognises a chat by it."""
    (event,), _ = Decoder(LIMITS).decode([record(1)])
    assert event.fingerprint == content_fingerprint(event.chat)


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

    def fingerprint(turns: Any) -> str:
        counted.append(turns[0].text)
        return turns[0].text

    monkeypatch.setattr("worker.decode.turns_fingerprint", fingerprint)
    decoder, long = Decoder(LIMITS), "x" * _LONGEST_KEPT_BYTES
    for number, text in enumerate(["one", "one", "two", "one", long, long]):
        messages = [{"role": "user", "content": text}]
        (event,), _ = decoder.decode([record(number, chat_id="a", event_id=number, messages=messages)])
        assert (event.chat.event_id, event.fingerprint, event.turns[0].text) == (number, text, text)
    assert counted == ["one", "two", "one", long, long]


def saying(chat: int, n_characters: int) -> Record:
    """Return a record of a chat that says so much."""
    return record(chat, chat_id=f"chat-{chat}", messages=[{"role": "user", "content": "x" * n_characters}])


def test_the_chats_of_long_ago_are_forgotten() -> None:
    """Memory grows neither with the number of chats nor with their length."""
    decoder, n_chats, n_characters = Decoder(LIMITS), 500, 10_000
    decoder.decode(saying(chat, n_characters) for chat in range(n_chats))
    n_kept = _KEPT_BYTES // len(saying(n_chats - 1, n_characters).value or b"")
    assert list(decoder._said) == [f"chat-{chat}" for chat in range(n_chats - n_kept, n_chats)]
    decoder.decode([saying(n_chats - 1, 5), saying(n_chats - 2, _LONGEST_KEPT_BYTES)])
    assert list(decoder._said)[-1] == f"chat-{n_chats - 1}"
    assert f"chat-{n_chats - 2}" not in decoder._said
    assert decoder._n_bytes == sum(said.n_bytes for said in decoder._said.values())
