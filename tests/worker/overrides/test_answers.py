"""Which overrides get a verdict of their own, and which do not."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from schemas import CodecLimits, Override, RejectionReason, Source, Verdict
from tests.worker.overrides.parts import NOW, allow, override, scanned
from tests.worker.payloads import builder, classification, event, record
from worker.decode import Decoder
from worker.errors import Degraded
from worker.kafka.topic_scan import ScannedRecord
from worker.overrides.answers import Answers
from worker.overrides.register import OverrideRegister
from worker.overrides.source import OverrideSource
from worker.process.metrics import Metrics
from worker.record import Place, Rejection, Row


class Input:
    """The input topic: record 7 of chat-7 and record 8 of chat-8, one partition."""

    def __init__(self) -> None:
        self.values = {offset: record(offset).value for offset in (7, 8)}
        self.fetched: list[int] = []
        self.is_away = False

    def fetch(self, place: Place) -> ScannedRecord | None:
        """Fetch."""
        if self.is_away:
            raise Degraded("no broker")
        self.fetched.append(place[2])
        value = self.values.get(place[2])
        return None if value is None else scanned(b"key", value, offset=place[2], topic="chat-events")


class Cache:
    """Redis."""

    def __init__(self) -> None:
        self.stored: dict[str, Verdict] = {}

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        return {one: self.stored[one] for one in chat_ids if one in self.stored}


class Rig:
    """Answers at a clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOW
        self.input, self.cache, self.metrics = Input(), Cache(), Metrics()
        self.answers = Answers(
            self.input,  # type: ignore[arg-type]
            Decoder(CodecLimits()),
            self.cache,  # type: ignore[arg-type]
            self.metrics,
            clock=lambda: self.now,
        )

    def due(self, *overrides: Override, owned: bool = True) -> list[Row]:
        """Offer overrides and take what is due."""
        for one in overrides:
            self.answers.offer(one)
        self.answers.prepare(lambda _: owned)
        return self.answers.take(lambda _: owned)

    def results(self) -> dict[str, int]:
        """Return what became of them, without what happened never."""
        name = "moderation_override_verdicts_total"
        found = {
            sample.labels["result"]: int(sample.value)
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == name
        }
        return {result: n for result, n in found.items() if n}


@pytest.fixture
def rig() -> Rig:
    """Return a rig."""
    return Rig()


def verdict(offset: int, *, revision: int = 0, chat_id: str = "chat-7", text: int | None = None) -> Verdict:
    """Return what the cache may show of a chat: a verdict on a record, which says the text of another."""
    made = builder().fresh(event(7 if text is None else text, chat_id=chat_id), classification(), NOW)
    source = Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=1_000)
    return made.model_copy(update={"source": source, "override_revision": revision, "chat_id": chat_id})


def test_the_owner_decides_again_on_the_very_record(rig: Rig) -> None:
    """Once; the row is as the loop would have decoded it."""
    (row,) = rig.due(override())
    assert row.event is not None
    assert (row.event.chat.chat_id, row.record.place) == ("chat-7", ("chat-events", 0, 7))
    row.encoded = b"{}"
    rig.answers.answered([row])
    assert rig.due() == []
    assert rig.results() == {"published": 1}


def test_an_override_waits_for_whoever_owns_its_partition(rig: Rig) -> None:
    """Nobody may own it when it comes: a rebalance is under way."""
    assert rig.due(override(), owned=False) == []
    assert rig.input.fetched == []
    assert len(rig.due()) == 1


def test_what_moved_away_before_it_was_decided_on_is_left_to_the_next_owner(rig: Rig) -> None:
    """And taken up again should the partition come back."""
    rig.answers.offer(override())
    rig.answers.prepare(lambda _: True)
    assert rig.answers.take(lambda _: False) == []
    assert len(rig.due()) == 1


def test_an_answer_whose_commit_failed_is_due_again(rig: Rig) -> None:
    """One by one then, lest one of several was the cause."""
    assert len(rig.due(override(), allow("chat-8", source=_source(8), content_fingerprint=event(8).fingerprint))) == 2
    rig.answers.rewound()
    (first,) = rig.due()
    first.encoded = b"{}"
    rig.answers.answered([first])
    (second,) = rig.due()
    assert {first.record.offset, second.record.offset} == {7, 8}


def test_nothing_more_is_taken_while_an_answer_is_in_its_commit(rig: Rig) -> None:
    """The loop asks in each turn: what another turn took would be taken for what the aborted commit was of."""
    (first,) = rig.due(override())
    later = allow("chat-8", source=_source(8), content_fingerprint=event(8).fingerprint)
    assert rig.due(later) == []
    rig.answers.rewound()
    (again,) = rig.due()
    assert again.record.place == first.record.place
    again.encoded = b"{}"
    rig.answers.answered([again])
    (second,) = rig.due()
    assert second.record.offset == 8


def _source(offset: int) -> Source:
    return Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=1_000 + offset)


@pytest.mark.parametrize(
    ("one", "result"),
    [
        pytest.param(override(source=_source(5)), "no_record", id="retention took the record"),
        pytest.param(override("chat-1"), "other_text", id="the record is of another chat"),
        pytest.param(allow(content_fingerprint="ab" * 16), "other_text", id="the record says another text"),
        pytest.param(override(decided_at=NOW - timedelta(days=2)), None, id="of the day before yesterday"),
        pytest.param(
            override(decided_at=NOW - timedelta(hours=2), expires_at=NOW - timedelta(hours=1)), "expired", id="expired"
        ),
    ],
)
def test_an_override_that_cannot_be_answered_counts_at_the_next_event_only(
    rig: Rig, one: Override, result: str | None
) -> None:
    """Counted by what stood in the way."""
    assert rig.due(one) == []
    assert rig.due() == []
    assert rig.results() == ({} if result is None else {result: 1})


def test_a_record_that_is_no_event_is_not_answered(rig: Rig) -> None:
    """It has a dead letter, and no verdict on which a person could decide."""
    rig.input.values[7] = b"no event"
    assert rig.due(override()) == []
    assert rig.results() == {"not_judged": 1}


def test_brokers_that_do_not_answer_are_asked_again(rig: Rig) -> None:
    """Nothing is settled by it."""
    rig.input.is_away = True
    assert rig.due(override()) == []
    rig.input.is_away = False
    assert len(rig.due()) == 1
    assert rig.results() == {}


def test_a_new_owner_repeats_what_is_minutes_old_and_asks_the_cache_about_the_rest(rig: Rig) -> None:
    """The predecessor may have died between Redis and the topic; hours later it has not."""
    rig.cache.stored["chat-7"] = verdict(7, revision=1)
    assert len(rig.due(override(decided_at=NOW - timedelta(minutes=9)))) == 1
    other = Rig()
    other.cache.stored["chat-7"] = verdict(7, revision=1)
    assert other.due(override(decided_at=NOW - timedelta(hours=3))) == []
    assert other.results() == {"there_already": 1}
    third = Rig()
    third.cache.stored["chat-7"] = verdict(7, revision=0)
    assert len(third.due(override(decided_at=NOW - timedelta(hours=3)))) == 1


def test_an_event_that_came_between_decision_and_answer_is_decided_on_again_too(rig: Rig) -> None:
    """It was judged before the override was known, and would stand before it in Redis."""
    rows = rig.due(override(chat_id="chat-7", revision=4))
    rig.input.values[9] = record(9, chat_id="chat-7").value
    rig.answers.compare(rows, {"chat-7": verdict(9, text=9)})
    rig.answers.answered(rows)
    (row,) = rig.due()
    assert row.record.offset == 9
    rig.answers.compare([row], {"chat-7": verdict(9, revision=4, text=9)})
    rig.answers.answered([row])
    assert rig.due() == []


def test_a_newer_event_of_which_an_allow_does_not_speak_stays_as_it_is(rig: Rig) -> None:
    """It says something else."""
    rows = rig.due(allow())
    rig.answers.compare(rows, {"chat-7": verdict(9, text=9)})
    rig.answers.answered(rows)
    assert rig.due() == []


def test_what_waited_for_too_long_is_due_no_longer(rig: Rig) -> None:
    """Nobody owned the partition for two days: the override counts at the next event."""
    rig.answers.offer(override())
    rig.now = NOW + timedelta(days=2)
    rig.answers.prepare(lambda _: True)
    assert rig.answers.take(lambda _: True) == []
    assert rig.results() == {"expired": 1}


def test_what_other_workers_had_to_answer_is_forgotten_after_a_day(rig: Rig) -> None:
    """Every worker reads every override, and lives for months."""
    assert rig.due(override(), owned=False) == []
    assert rig.answers.n_due(lambda _: True) == 1
    rig.now = NOW + timedelta(days=2)
    rig.answers.prepare(lambda _: False)
    assert rig.answers.n_due(lambda _: True) == 0
    assert rig.results() == {}


def test_a_chat_that_asks_to_be_forgotten_gets_no_answer_any_more(rig: Rig) -> None:
    """Its tombstone was read: a verdict on what it said before would bring its id back to the topic."""
    source = OverrideSource(OverrideRegister((), rig.metrics), rig.answers)
    made = record(9)._replace(key=b"chat-7", value=None)
    tombstone = Row(made, rejection=Rejection(RejectionReason.DECODE_ERROR, "found none; expected one", erases=True))
    rig.answers.offer(override())
    source.passed(tombstone)
    assert rig.due() == []
    rig.answers.offer(override())
    rig.answers.prepare(lambda _: True)
    source.passed(tombstone)
    assert rig.answers.take(lambda _: True) == []
    assert rig.answers.n_due(lambda _: True) == 0
