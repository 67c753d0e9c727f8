"""Records to events: total, in order."""

from hypothesis import given
from hypothesis import strategies as st

from schemas import CodecLimits, RejectionReason, content_fingerprint
from tests.bad_inputs import bad_inputs
from tests.worker.payloads import record, tombstone
from worker.decode import decode
from worker.record import Record

LIMITS = CodecLimits()


@given(values=st.lists(st.one_of(st.none(), st.binary(max_size=200)), max_size=20))
def test_any_bytes_become_one_event_or_one_rejection_each(values: list[bytes | None]) -> None:
    """Bad bytes are data, never exceptions: one of them must not stop the batch."""
    records = [Record("t", 0, i, 0, None, value) for i, value in enumerate(values)]
    events, rejected = decode(records, LIMITS)
    assert sorted([e.record for e in events] + [r.record for r in rejected], key=lambda r: r.offset) == records


def test_every_bad_input_of_the_list_is_rejected_with_its_reason() -> None:
    """The reason code is the contract with whoever reads the dead letters."""
    for bad in bad_inputs():
        _, rejected = decode([Record("t", 0, 0, 0, None, bad.value)], LIMITS)
        assert [one.reason.value for one in rejected] == ([bad.reason] if bad.reason else []), bad.name


def test_events_keep_their_order_between_rejections() -> None:
    """I3: order per chat."""
    records = [record(1), record(2, value=b"{"), record(3), tombstone(4), record(5)]
    events, rejected = decode(records, LIMITS)
    assert [event.record.offset for event in events] == [1, 3, 5]
    assert [(one.record.offset, one.reason) for one in rejected] == [
        (2, RejectionReason.DECODE_ERROR),
        (4, RejectionReason.DECODE_ERROR),
    ]


def test_the_fingerprint_is_that_of_the_content() -> None:
    """The cache recognises a chat by it."""
    (event,), _ = decode([record(1)], LIMITS)
    assert event.fingerprint == content_fingerprint(event.chat)
