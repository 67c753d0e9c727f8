"""Records reach the database once, whoever reads and whatever happens; on both pairs of a broker and a database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

import console.intake.session
import console.intake.writing
from console.intake.session import Session
from console.intake.state import Doing
from console.intake.topics import topics_of
from console.review.arriving import NO_RISK_KNOWN
from console.review.sampling import RATE_UNITS
from console.store.leases import take
from console.store.offsets import OffsetMoved
from console.store.store import StoreAway, now_ms
from console.store.tables import counts, items, leases, metadata, offsets
from schemas import DeadLetter, Decision, PolicyRef, RejectionReason, encode_review
from schemas.erasure import Erasure
from schemas.policy import UncalibratedLanguages
from schemas.policy_table import PolicyTableRow
from tests.console.intake.rig import N_PARTITIONS, Rig, hash_of
from tests.console.judged import AT_MS, a_review, a_verdict, an_override
from worker.errors import Degraded


def an_erasure(chat_id: str, at_ms: int) -> Erasure:
    """Return a record of the list of erased chats."""
    return Erasure(chat_hash=hash_of(chat_id), erased_at=datetime.fromtimestamp(at_ms / 1_000, UTC))


def a_letter() -> DeadLetter:
    """Return the headers of a dead letter."""
    return DeadLetter(
        reason=RejectionReason.TOO_LARGE, error="found much; expected less", origin_topic="chat-events",
        origin_partition=0, origin_offset=1, origin_timestamp_ms=AT_MS,
    )  # fmt: skip


def read_all(rig: Rig, session: Session, until: int) -> None:
    """Step until so many items are there."""
    rig.wait(lambda: session.step(now_ms()) and len(rig.rows()) >= until)


def session_of(rig: Rig, holder: str, **review: Any) -> Session:
    """Return a reading that a test takes step by step."""
    return Session(
        rig.new_store(), rig.follower(), rig.policies(), topics=topics_of(rig.worker.kafka),
        settings=rig.settings(**review), hashes_of=lambda chat_id: [hash_of(chat_id)], lease=("intake", holder, 60_000),
    )  # fmt: skip


def test_all_topics_reach_the_database_and_the_offsets_stand_beside(rig: Rig) -> None:
    """Reviews, counts of verdicts and of dead letters, erasures; then what comes."""
    rig.put_reviews(a_review(1), a_review(2), a_review(1))
    rig.put_verdicts(a_verdict(1), a_verdict(2, decision=Decision.BLOCK))
    rig.put_letter(a_letter())
    intake = rig.intake()
    intake.start()
    rig.wait(lambda: rig.counted("decision") and rig.counted("letter") and len(rig.rows()) == 2)
    assert rig.counted("decision") == {("default", "allow"): 1, ("default", "block"): 1}
    assert rig.counted("letter") == {("", "too_large"): 1}
    rig.put_reviews(a_review(3))
    rig.put_erasure(an_erasure("chat-1", AT_MS))
    rig.wait(lambda: [row["state"] for row in rig.rows()].count("erased") == 1 and len(rig.rows()) == 3)
    rig.wait(lambda: intake.state.lag_records == 0)
    assert intake.state.doing is Doing.FOLLOWING
    intake.close()
    rig.wait_for(intake, Doing.ENDED)
    assert sum(row["next_offset"] for row in rig.rows(offsets)) == 8
    assert rig.rows(leases) == []


def test_a_new_database_takes_all_reviews_and_the_verdicts_of_some_minutes(rig: Rig) -> None:
    """The queue is whole; counts begin where the page Live does."""
    now = now_ms()
    rig.put_reviews(a_review(1))
    rig.put_verdicts(a_verdict(2), timestamp=now - 3_600_000)
    rig.put_verdicts(a_verdict(4), timestamp=now - 60_000)
    intake = rig.intake(rig.settings(live_minutes=10))
    intake.start()
    rig.wait(lambda: rig.counted("decision") and len(rig.rows()) == 1)
    assert rig.counted("decision") == {("default", "allow"): 1}


def test_malformed_records_are_counted_and_passed_by(rig: Rig) -> None:
    """What follows them is read."""
    rig.put("reviews_topic", b"nonsense")
    rig.put("reviews_topic", b'{"schema_version": 99}')
    rig.put("verdict_topic", b"\xff")
    rig.put("dead_letter_topic", b"without headers")
    rig.put("erasures_topic", b"{}", key=b"k")
    rig.put("erasures_topic", None, key=b"k")
    rig.put_reviews(a_review(2))
    rig.intake().start()
    malformed = {("", "reviews"): 2, ("", "verdicts"): 1, ("", "letters"): 1, ("", "erasures"): 1}
    rig.wait(lambda: len(rig.rows()) == 1 and rig.counted("malformed") == malformed)


def test_a_value_that_the_database_does_not_take_holds_nothing_up(rig: Rig) -> None:
    """PostgreSQL takes no NUL character in a chat_id; what is beside it in the batch is written."""
    rig.put_reviews(a_review(2), a_review(4, chat_id="a\0b"), a_review(6))
    rig.put_verdicts(a_verdict(8))
    rig.intake().start()
    n_taken = 3 if rig.store.is_sqlite else 2
    rig.wait(lambda: len(rig.rows()) == n_taken and rig.counted("decision"))
    assert rig.counted("refused") == ({} if rig.store.is_sqlite else {("", "reviews"): 1})


def test_an_erasure_keeps_older_reviews_out_that_come_later(rig: Rig) -> None:
    """Topics are read side by side; a later event of the chat is a new one."""
    rig.put_erasure(an_erasure("chat-1", AT_MS + 5))
    intake = rig.intake()
    intake.start()
    rig.wait(lambda: intake.state.read_ms is not None)
    rig.put_reviews(a_review(1), a_review(3, chat_id="chat-1", at_ms=AT_MS + 6), a_review(2))
    rig.wait(lambda: len(rig.rows()) == 2)
    assert {row["chat_id"] for row in rig.rows()} == {"chat-1", "chat-2"}
    assert {row["timestamp_ms"] for row in rig.rows()} == {AT_MS, AT_MS + 6}


def test_an_erased_id_is_in_no_row_and_in_no_file_of_sqlite(rig: Rig, tmp_path: Path) -> None:
    """Its free pages and its log are files, too."""
    name = "chat-CANARY-of-the-erased"
    rig.put_reviews(a_review(1, chat_id=name), a_review(2))
    rig.put_verdicts(a_verdict(3, chat_id=name))
    rig.intake(rig.settings(sample_per_stratum=1_000_000)).start()
    rig.wait(lambda: len(rig.rows()) == 3)

    def is_gone() -> bool:
        return not any(name.encode() in path.read_bytes() for path in tmp_path.glob("console.sqlite3*"))

    assert is_gone() is not rig.store.is_sqlite
    rig.put_erasure(an_erasure(name, AT_MS))
    rig.wait(lambda: [row["state"] for row in rig.rows()].count("erased") == 2)
    for table in metadata.sorted_tables:
        assert name not in str(rig.rows(table))
    rig.wait(is_gone)


def test_a_persons_word_on_the_verdict_topic_answers_the_review(rig: Rig) -> None:
    """By the command, say."""
    rig.put_reviews(a_review(1), a_review(2))
    rig.intake().start()
    rig.wait(lambda: len(rig.rows()) == 2)
    rig.put_verdicts(an_override(1))
    rig.wait(lambda: [row["state"] for row in rig.rows() if row["closed_why"] == "override"] == ["done"])


def test_risk_is_of_the_policy_that_asks(rig: Rig) -> None:
    """As the policies topic tells; what it does not tell is ordered by age."""
    review = a_review(1)
    row = PolicyTableRow(
        model=review.model, calibrated=True, taxonomy=review.taxonomy, policy=PolicyRef(name="default", version="1"),
        must=("F",), should=("A",), may=(), evidence_decimals=6, allow_below=0.1, block_from=0.9,
        max_banned_to_safe_rate=0.1, max_safe_to_banned_rate=0.1, unevaluated=UncalibratedLanguages.REVIEW,
        uncalibrated_languages=UncalibratedLanguages.REVIEW, hold_block_s=0,
    )  # fmt: skip
    rig.put("policies_topic", b"of a later release", key=b"k")
    rig.put_policy(row)
    other = a_review(2, model=review.model.model_copy(update={"digest": f"sha256:{'cd' * 32}"}))
    rig.put_reviews(review, other)
    rig.intake(rig.settings(age_bonus_s=1_000)).start()
    rig.wait(lambda: len(rig.rows()) == 2)
    found = {row["chat_id"]: (row["risk"], row["arrived_ms"] - row["order_ms"]) for row in rig.rows()}
    assert found == {"chat-1": (0.56, 560_000), "chat-2": (NO_RISK_KNOWN, 500_000)}


def test_automatic_decisions_are_sampled_at_rates_that_stand_for_the_day(rig: Rig) -> None:
    """Rows of the sample say with which probability they were drawn; half are, of a new stratum at this setting."""
    verdicts = [a_verdict(number) for number in range(400)]
    rig.put_verdicts(*verdicts, a_verdict(1_000, decision=Decision.REVIEW), a_verdict(1_002, replay_id="r"))
    rig.intake(rig.settings(sample_per_stratum=5_000)).start()
    rig.wait(lambda: rig.counted("stratum") == {("default", "allow/F"): 400})
    sample = rig.rows()
    assert {(row["kind"], row["stratum"], row["inclusion"]) for row in sample} == {("sample", "allow/F/default", 0.5)}
    assert 150 < len(sample) < 250
    assert {row["policies"][0]["inclusion"] for row in sample} == {0.5}
    assert rig.counted("rate") == {("default", "allow/F"): RATE_UNITS // 2}
    estimated = sum(1 / row["inclusion"] for row in sample)
    assert 300 < estimated < 500


def test_one_console_reads_and_the_other_stands_by_until_it_ends(rig: Rig) -> None:
    """The second goes on where the first has ended."""
    first, second = rig.intake(), rig.intake()
    first.start()
    rig.wait_for(first, Doing.FOLLOWING)
    second.start()
    rig.wait_for(second, Doing.STANDING_BY)
    assert second.state.detail == first.holder
    assert second.state.is_well
    rig.put_reviews(a_review(1))
    rig.wait(lambda: len(rig.rows()) == 1)
    first.close()
    rig.wait_for(second, Doing.FOLLOWING)
    rig.put_reviews(a_review(2))
    rig.wait(lambda: len(rig.rows()) == 2)


def test_a_console_that_died_is_followed_by_another(rig: Rig) -> None:
    """Its lease lapses by itself."""
    with rig.store.writing() as connection:
        assert take(connection, "intake", "died", for_ms=1_500)
    second = rig.intake()
    second.start()
    rig.wait_for(second, Doing.STANDING_BY)
    rig.wait_for(second, Doing.FOLLOWING)


def test_what_two_consoles_have_read_is_written_once(rig: Rig) -> None:
    """The first hangs with a batch in hand, its lease lapses, the second reads the same; then the first wakes up."""
    first, second = session_of(rig, "first"), session_of(rig, "second")
    rig.put_reviews(*(a_review(number) for number in range(50)))
    rig.put_verdicts(*(a_verdict(number) for number in range(50)))
    first.begin(now_ms())
    with rig.store.writing() as connection:
        connection.execute(leases.delete())
    second.begin(now_ms())
    read_all(rig, second, 50)
    rig.wait(lambda: second.step(now_ms()) and rig.counted("decision") == {("default", "allow"): 50})
    with rig.store.writing() as connection:
        connection.execute(leases.delete())
    # It holds the lease again, and its offsets are those of before.
    with pytest.raises(OffsetMoved):
        rig.wait(lambda: first.step(now_ms()) and None)
    assert len(rig.rows()) == 50
    assert rig.counted("decision") == {("default", "allow"): 50}


@pytest.mark.parametrize("at", ["take_in", "close_answered", "add_counts"])
def test_a_batch_that_ends_in_the_middle_leaves_nothing_and_is_read_again(
    rig: Rig, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither rows nor offsets; then all of it, once."""
    whole = getattr(console.intake.writing, at)
    faults = [0]

    def broken(connection: Connection, *arguments: Any, **named: Any) -> Any:
        done = whole(connection, *arguments, **named)
        if faults[0] < 2:
            faults[0] += 1
            raise StoreAway("injected")
        return done

    monkeypatch.setattr(console.intake.writing, at, broken)
    rig.put_reviews(*(a_review(number) for number in range(20)))
    rig.put_verdicts(*(a_verdict(number) for number in range(20)))
    rig.intake(pause_s=0.01).start()
    rig.wait(lambda: len(rig.rows()) == 20 and rig.counted("decision") == {("default", "allow"): 20})
    assert faults == [2]
    assert rig.counted("category") == {("", "F"): 20}


def test_offsets_that_retention_took_are_counted_and_gone_behind(rig: Rig) -> None:
    """Which were to be read next; what is left is read."""
    rig.put_reviews(a_review(0))
    first = rig.intake()
    first.start()
    rig.wait(lambda: len(rig.rows()) == 1)
    first.close()
    rig.put_reviews(*(a_review(number) for number in (2, 4, 6, 8)))
    rig.broker.delete_records(rig.topics["reviews_topic"], 0, before=3)
    rig.intake().start()
    rig.wait(lambda: len(rig.rows()) == 3)
    assert {row["chat_id"] for row in rig.rows()} == {"chat-0", "chat-6", "chat-8"}
    assert rig.counted("lost") == {("", "reviews"): 2}


def test_brokers_that_do_not_answer_are_waited_for_and_told(rig: Rig) -> None:
    """Since when, and what was found; then it goes on by itself."""
    gate: list[bool] = []

    def open_follower() -> Any:
        if not gate:
            raise Degraded("verdicts: _TRANSPORT")
        return rig.follower()

    intake = rig.intake(open_follower=open_follower)
    intake.start()
    rig.wait_for(intake, Doing.KAFKA_AWAY)
    state = intake.state
    assert (state.detail, state.is_well) == ("verdicts: _TRANSPORT", False)
    assert state.since_ms <= now_ms()
    rig.put_reviews(a_review(1))
    assert intake.state.since_ms == state.since_ms
    gate.append(True)
    rig.wait(lambda: len(rig.rows()) == 1)
    assert intake.state.doing is Doing.FOLLOWING


def test_partitions_that_a_topic_gets_are_read_from_their_beginning(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a restart of the console."""
    monkeypatch.setattr(console.intake.session, "_LOOK_AGAIN_MS", 200)
    rig.put_reviews(a_review(1))
    rig.intake().start()
    rig.wait(lambda: len(rig.rows()) == 1)
    rig.add_partition("reviews_topic")
    rig.put("reviews_topic", encode_review(a_review(2)), partition=N_PARTITIONS)
    rig.flush()
    rig.wait(lambda: len(rig.rows()) == 2)


def test_what_is_old_is_deleted_while_it_reads(rig: Rig) -> None:
    """Without a job of its own."""
    old = {"hour_ms": 0, "what": "decision", "policy": "default", "key": "allow", "n": 1}
    with rig.store.writing() as connection:
        connection.execute(counts.insert(), old)
    rig.intake(rig.settings(keep_days=90)).start()
    rig.wait(lambda: rig.rows(counts) == [])
    assert rig.rows(items) == []
