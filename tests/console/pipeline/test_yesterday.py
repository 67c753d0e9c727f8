"""What the verdict topic says of a time: newest verdicts, samples, what does not count, and how a reading ends."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from console.pipeline.errors import PipelineAway
from console.pipeline.reading import KEEPS_S, Period, Reading, Readings, reader_of
from console.pipeline.yesterday import Collector, Found, PastVerdicts, collected
from console.service import Service
from deploy.local.stack import LocalStack
from model import Bundle
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from schemas import DEFAULT_POLICY, Source, encode_verdict
from testkit.waiting import wait_until
from tests.brokers import RealBroker
from tests.console.operations import worker_settings
from tests.console.pages.figures.verdicts import NOON_MS, past_verdicts, record_of, verdict_of

PERIOD = Period(NOON_MS, NOON_MS + 1_000)


@pytest.fixture
def bundle(service: Service) -> Bundle:
    """Return the console's bundle."""
    return service.bundle


@pytest.fixture
def policies(bundle: Bundle) -> PolicySet:
    """Return the default policy alone."""
    return policies_over(bundle, [DEFAULT_POLICY])


@pytest.fixture
def kafka(stack: LocalStack) -> Iterator[RealBroker]:
    """Return a broker that runs."""
    broker = RealBroker(stack.bootstrap_servers)
    yield broker
    broker.close()


def source(offset: int) -> Source:
    """Return where the record of an event lies."""
    return Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=NOON_MS)


def test_the_newest_verdict_of_a_chat_counts_in_whatever_order_they_come(bundle: Bundle, policies: PolicySet) -> None:
    """By the input's offset, and on one of them by the override's revision."""
    old = verdict_of(bundle, policies, 1, chat_id="chat", source=source(5))
    new = verdict_of(bundle, policies, 2, chat_id="chat", source=source(6))
    by_person = verdict_of(bundle, policies, 3, chat_id="chat", source=source(6), override_revision=1)
    for records in ([old, new, by_person], [by_person, old, new], [new, by_person, old]):
        columns = collected(bundle, [record_of(one, i) for i, one in enumerate(records)]).columns
        assert (columns.n, columns.chat_ids) == (1, ["chat"])
        assert columns.longest.tolist() == [3]


def test_what_does_not_count_is_counted_by_its_reason(bundle: Bundle, policies: PolicySet) -> None:
    """A tombstone is nothing at all."""
    other = bundle.ref.model_copy(update={"digest": f"sha256:{'b' * 64}"})
    found = collected(
        bundle,
        [
            record_of(verdict_of(bundle, policies, 1)),
            record_of(verdict_of(bundle, policies, 2, model=other)),
            record_of(verdict_of(bundle, policies, 3, replay_id="replay")),
            Found(b"x", b"{", ("verdicts", 0, 4), NOON_MS),
            Found(b"x", None, ("verdicts", 0, 5), NOON_MS),
        ],
    )
    assert found.columns.n == 1
    assert found.n_records == 5
    assert found.set_aside == Counter(other_bundle=1, replayed=1, unreadable=1)
    assert found.other_bundles == Counter({other.digest: 1})


def test_more_chats_than_there_is_room_for_are_sampled_from_all_of_them(bundle: Bundle) -> None:
    """The same ones in whatever order they come; each is kept with the share that is said."""
    records = past_verdicts(bundle, 1_000)
    found = collected(bundle, records, 100)
    assert found.sampled_share in {1 / 8, 1 / 16, 1 / 32}
    assert 1_000 * found.sampled_share / 2 < found.columns.n <= 100
    back = collected(bundle, records[::-1], 100)
    assert sorted(found.columns.chat_ids) == sorted(back.columns.chat_ids)
    # Not the first ones, and not the last.
    rows = [int(chat_id.removeprefix("chat-")) for chat_id in found.columns.chat_ids]
    assert min(rows) < 250
    assert max(rows) > 750
    whole = collected(bundle, records).columns
    for row, chat_id in enumerate(found.columns.chat_ids):
        place = whole.chat_ids.index(chat_id)
        assert found.columns.evidence[row].tolist() == whole.evidence[place].tolist()


def test_a_reading_is_shared_kept_for_some_minutes_and_then_taken_anew() -> None:
    """Whoever asks meanwhile gets the same one; another period waits for its end."""
    clock, begun, goes_on = [0.0], [], threading.Event()

    def read(reading: Reading, _ends: threading.Event) -> PastVerdicts:
        begun.append(reading)
        goes_on.wait(30)
        return PastVerdicts(None)  # type: ignore[arg-type]

    readings = Readings(read, clock=lambda: clock[0])
    first = readings.of("day", lambda: PERIOD)
    assert first is not None
    assert readings.of("day", lambda: PERIOD) is first
    assert readings.of("hour", lambda: PERIOD) is None
    goes_on.set()
    wait_until(lambda: first.ended_s is not None, timeout_s=30, what=lambda: "the reading does not end")
    assert readings.of("day", lambda: PERIOD) is first
    clock[0] = KEEPS_S + 1
    second = readings.of("day", lambda: PERIOD)
    assert second is not first
    readings.close()
    assert readings.of("day", lambda: PERIOD, again=True) is not second
    readings.close()
    assert len(begun) == 3


def test_a_reading_that_fails_says_why_and_is_not_repeated_unasked() -> None:
    """Each page that looks would start another one."""

    def read(_reading: Reading, _ends: threading.Event) -> PastVerdicts:
        raise PipelineAway("nobody there")

    readings = Readings(read)
    first = readings.of("day", lambda: PERIOD)
    readings.close()
    assert first is not None
    assert (first.error, first.found) == ("nobody there", None)
    assert readings.of("day", lambda: PERIOD) is first
    assert readings.of("day", lambda: PERIOD, again=True) is not first
    readings.close()


def _sent(kafka: RealBroker, topic: str, records: list[Found]) -> None:
    producer = kafka.producer({})
    for record in records:
        producer.produce(topic, record.value, record.key, timestamp=record.published_ms)
    assert producer.flush(30) == 0


def test_the_topic_is_read_between_two_times(kafka: RealBroker, bundle: Bundle) -> None:
    """And how far it is shows on the way."""
    topic = "verdicts-of-a-day"
    kafka.create_topics({topic: 1})
    _sent(kafka, topic, past_verdicts(bundle, 30))
    settings = worker_settings(kafka.bootstrap_servers, verdict_topic=topic)
    reading = Reading(Period(NOON_MS + 10, NOON_MS + 20))
    found = reader_of(settings, bundle)(reading, threading.Event())
    assert found.columns.chat_ids == [f"chat-{row}" for row in range(10, 20)]
    assert (reading.share, reading.n_records, found.stopped_at) == (1.0, 10, None)
    ends = threading.Event()
    ends.set()
    stopped = reader_of(settings, bundle)(Reading(Period(0, NOON_MS + 1_000)), ends)
    assert stopped.stopped_at is not None
    late = reader_of(settings, bundle, longest_s=0.0)(Reading(Period(0, NOON_MS + 1_000)), threading.Event())
    assert late.stopped_at is not None


def test_a_missing_topic_is_the_pipelines_fault(kafka: RealBroker, bundle: Bundle) -> None:
    """With the setting that names it."""
    settings = worker_settings(kafka.bootstrap_servers, verdict_topic="there-is-none")
    with pytest.raises(PipelineAway, match="MODERATION_KAFKA__VERDICT_TOPIC"):
        reader_of(settings, bundle)(Reading(PERIOD), threading.Event())


def test_a_collector_keeps_what_memory_is_for(bundle: Bundle, policies: PolicySet) -> None:
    """The bound is on chats; a chat that comes again takes no row."""
    collector = Collector(bundle, 2)
    for offset in range(5):
        verdict = verdict_of(bundle, policies, offset, chat_id="one", source=source(offset))
        collector.add(Found(b"one", encode_verdict(verdict), ("verdicts", 0, offset), NOON_MS))
    assert collector.found.columns.n == 1
    assert collector.found.sampled_share == 1.0
