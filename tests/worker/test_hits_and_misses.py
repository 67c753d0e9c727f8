"""Which rows are hits, and which are misses: by content, model and policy, and only what is believed."""

from datetime import UTC, datetime

from model import Classification, RowFailed
from model.decision import Judgement
from schemas import DecidedBy, Decision, ModelRef, RejectionReason, decode_verdict, encode_verdict
from tests.tiny_taxonomies import PETS
from tests.worker.payloads import builder, classification, event, record
from worker.hits_and_misses import chat_ids, fill_hits, fill_misses, misses_of
from worker.record import Rejection, Row

BUILDER = builder()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def decoded(offset: int) -> Row:
    """Return the row of a record that was decoded."""
    one = event(offset)
    return Row(one.record, one)


def undecoded(offset: int) -> Row:
    """Return the row of a record that was not."""
    return Row(record(offset), rejection=Rejection(RejectionReason.DECODE_ERROR, "found x; expected y"))


def test_what_the_cache_answers_is_a_hit_and_the_rest_of_the_events_are_misses() -> None:
    """A record without an event is neither."""
    rows = [decoded(0), undecoded(1), decoded(2), decoded(3)]
    assert [*chat_ids(rows)] == ["chat-0", "chat-2", "chat-3"]
    cached = {
        "chat-0": BUILDER.fresh(event(0), classification(), NOW),
        "chat-2": BUILDER.fresh(
            event(2, messages=[{"role": "user", "content": "what it said before"}]), classification(), NOW
        ),
    }
    assert fill_hits(rows, cached, BUILDER) == []
    assert [row.reading is not None for row in rows] == [True, False, False, False]
    assert [row for row, _ in misses_of(rows)] == [rows[2], rows[3]]


def test_a_cached_verdict_that_is_doubted_is_a_miss_and_says_why() -> None:
    """Without a rule only the builder's own objects are believed."""
    row = decoded(0)
    foreign = decode_verdict(encode_verdict(BUILDER.fresh(event(0), classification(), NOW)))
    assert fill_hits([row], {"chat-0": foreign}, BUILDER) == ["rule"]
    assert misses_of([row]) == [(row, row.event)]


def test_a_cached_verdict_of_another_taxonomy_is_a_miss_that_is_told() -> None:
    """Two releases that share a key prefix overwrite each other's verdicts, and nothing else would show it."""
    other = builder(categories=PETS, model=ModelRef(name="pets", version="1", digest=f"sha256:{'cd' * 32}"))
    said = {"cat": 0.9, "dog": 0.1}
    judgement = Judgement(0.0, 1.0, Decision.ALLOW, DecidedBy.NOTHING_BANNED)
    foreign = other.fresh(event(0), Classification("cat", said, judgement, evidence=said), NOW)
    row = decoded(0)
    assert fill_hits([row], {"chat-0": foreign}, BUILDER) == ["taxonomy"]
    assert misses_of([row]) == [(row, row.event)]
    of_other_text = foreign.model_copy(update={"content_fingerprint": "0" * 32})
    of_other_model = BUILDER.fresh(event(0), classification(), NOW).model_copy(update={"model": other.model})
    for usual in (of_other_text, of_other_model):
        assert fill_hits([row], {"chat-0": usual}, BUILDER) == []


def test_a_miss_gets_what_is_said_of_its_text_or_a_rejection() -> None:
    """The rejection names the chat, whose cached verdict it takes away."""
    rows = [decoded(0), decoded(1)]
    answers = {event(0).fingerprint: classification("J"), event(1).fingerprint: RowFailed("NaN")}
    fill_misses(misses_of(rows), answers)
    assert rows[0].reading == classification("J")
    assert (rows[0].rejection, rows[1].reading) == (None, None)
    assert rows[1].rejection == Rejection(RejectionReason.CLASSIFICATION_FAILED, "NaN", "chat-1")
