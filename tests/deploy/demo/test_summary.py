"""The numbers of a demo run."""

import json
from dataclasses import replace

import pytest

from deploy.demo.events import Kind, Phase
from deploy.demo.model_in_use import ModelInUse
from deploy.demo.summary import Durations, latency_of, summarise
from schemas import Decision, RejectionReason, category_label
from schemas.taxonomy import shipped_taxonomy
from tests.deploy.demo.records import MODEL, dead_letter, new_account, publish, verdict

TOXICITY = shipped_taxonomy("toxicity")
DURATIONS = Durations(stack_start_s=5.0, worker_start_s=2.0, backlog_s=4.0, paced_s=1.0)


def test_throughput_counts_the_backlog_and_latency_the_paced_events_only() -> None:
    """An event of the backlog waits for its turn, so its time says nothing about the worker's latency."""
    ledger = new_account()
    for offset in range(8):
        publish(ledger, offset, phase=Phase.BACKLOG)
        ledger.answer(verdict(offset, latency_ms=4_000.0))
    publish(ledger, 8, phase=Phase.PACED)
    ledger.answer(verdict(8, latency_ms=20.0))
    summary = summarise(ledger, DURATIONS, MODEL)
    assert (summary.backlog_n_events, summary.backlog_events_per_s) == (8, 2.0)
    assert summary.latency is not None
    assert (summary.latency.n, summary.latency.max_ms) == (1, 20.0)


def test_latency_is_told_apart_for_classified_cached_and_rejected_events() -> None:
    """A cache hit skips the classifier; mixing them would flatter the worker."""
    ledger = new_account()
    for offset in range(3):
        publish(ledger, offset, phase=Phase.PACED)
    ledger.answer(verdict(0, latency_ms=30.0))
    ledger.answer(verdict(1, latency_ms=12.0, cache_hit=True))
    ledger.answer(dead_letter(2))
    summary = summarise(ledger, DURATIONS, MODEL)
    found = [latency and latency.n for latency in (summary.latency, summary.latency_classified, summary.latency_cached)]
    assert found == [3, 1, 1]
    assert summary.n_cache_hits == 1


def test_verdicts_are_counted_by_category_and_decision_and_dead_letters_by_reason() -> None:
    """The two tables that a person looks at first."""
    ledger = new_account()
    for offset in range(4):
        publish(ledger, offset)
    ledger.answer(verdict(0, code="J", decision=Decision.BLOCK))
    ledger.answer(verdict(1, code="J", decision=Decision.REVIEW))
    ledger.answer(verdict(2, code="A"))
    ledger.answer(dead_letter(3, RejectionReason.TOO_LARGE))
    summary = summarise(ledger, DURATIONS, MODEL)
    assert summary.n_by_category_and_decision["J"] == {"allow": 0, "review": 1, "block": 1}
    assert summary.n_by_decision == {"allow": 1, "review": 1, "block": 1}
    assert summary.n_by_reason == {"too_large": 1}
    assert summary.balanced


def test_any_taxonomy_is_counted() -> None:
    """The demo shows whatever bundle it is given; a category without a verdict is counted as such."""
    ledger = new_account()
    publish(ledger, 0, label="toxic")
    label = category_label("toxic", TOXICITY)
    ledger.answer(replace(verdict(0, decision=Decision.BLOCK), category=label))
    summary = summarise(ledger, DURATIONS, ModelInUse(TOXICITY, TOXICITY.banned))
    assert list(summary.n_by_category_and_decision) == list(TOXICITY.codes)
    assert summary.n_by_category_and_decision["toxic"] == {"allow": 0, "review": 0, "block": 1}
    assert summary.labels is not None
    assert (summary.labels.n_same_category, summary.labels.banned["block"]) == (1, 1)


def test_both_costly_errors_are_counted_against_the_labels() -> None:
    """Banned chats that may carry an ad, and safe chats that may not: accuracy alone hides the pair."""
    ledger = new_account()
    for offset, label in enumerate(["D", "M", "A", "F"]):
        publish(ledger, offset, label=label)
    ledger.answer(verdict(0, code="C", decision=Decision.ALLOW))
    ledger.answer(verdict(1, code="M", decision=Decision.BLOCK))
    ledger.answer(verdict(2, code="J", decision=Decision.BLOCK))
    ledger.answer(verdict(3, code="F", decision=Decision.ALLOW))
    labels = summarise(ledger, DURATIONS, MODEL).labels
    assert labels is not None
    assert (labels.n_labelled, labels.n_same_category) == (4, 2)
    assert labels.banned == {"allow": 1, "review": 0, "block": 1}
    assert labels.safe == {"allow": 1, "review": 0, "block": 1}


def test_a_repeat_does_not_count_its_chat_twice_against_the_labels() -> None:
    """The share is one of chats."""
    ledger = new_account()
    publish(ledger, 0, label="A")
    publish(ledger, 1, label="A", kind=Kind.REPEAT)
    ledger.answer(verdict(0))
    ledger.answer(verdict(1, cache_hit=True))
    labels = summarise(ledger, DURATIONS, MODEL).labels
    assert labels is not None
    assert labels.n_labelled == 1


@pytest.mark.parametrize("answers", [(), (verdict(0), verdict(0)), (verdict(1),)])
def test_a_run_is_unbalanced_when_an_answer_is_missing_doubled_or_unknown(answers: tuple[object, ...]) -> None:
    """The exit code hangs on this."""
    ledger = new_account()
    publish(ledger, 0)
    for answer in answers:
        ledger.answer(answer)  # type: ignore[arg-type]
    assert not summarise(ledger, DURATIONS, MODEL).balanced


def test_percentiles_are_values_that_were_measured() -> None:
    """Nearest rank: half of the values are at most the p50, 99 of 100 at most the p99."""
    latency = latency_of([float(n) for n in range(100, 0, -1)])
    assert latency is not None
    assert (latency.n, latency.p50_ms, latency.p99_ms, latency.max_ms) == (100, 50.0, 99.0, 100.0)
    assert latency_of([]) is None


def test_the_summary_of_a_run_without_any_answer_can_be_written() -> None:
    """A worker that never comes up must still end in a report."""
    ledger = new_account()
    publish(ledger, 0)
    document = summarise(ledger, Durations(5.0, 0.0, 0.0, 0.0), MODEL).as_json()
    assert json.loads(json.dumps(document))["n_missing"] == 1
