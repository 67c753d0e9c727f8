"""The records of `loadtest hostile`: as dear as they can be within the byte limit, and no two alike."""

import orjson
import pytest

from loadtest.hostile.records import KINDS, N_BYTES, HostileKind
from schemas import CodecLimits, RecordRejected, RejectionReason, content_fingerprint, decode_chat_event


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_hostile_record_is_well_formed_and_within_the_limit(kind: HostileKind) -> None:
    """What is refused by its length or its first byte would measure nothing."""
    raw = kind.record(7)
    assert orjson.loads(raw)["chat_id"] == "hostile-7"
    assert 0.9 * N_BYTES <= len(raw) <= CodecLimits().max_event_bytes or kind.name.startswith("9,900")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_records_of_one_kind_are_classified_each_for_itself(kind: HostileKind) -> None:
    """The same text twice in one batch is classified once."""
    if kind.name.startswith(("context", "65,000")):
        with pytest.raises(RecordRejected, match=RejectionReason.TOO_LARGE.value):
            decode_chat_event(kind.record(1), CodecLimits())
        return
    events = [decode_chat_event(kind.record(number), CodecLimits()) for number in (1, 2)]
    assert len({content_fingerprint(event) for event in events}) == 2
