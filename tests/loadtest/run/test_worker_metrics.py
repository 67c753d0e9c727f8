import pytest

from loadtest.run.worker_metrics import WorkerCounters, cost_us, latency_ms

METRICS = """\
# TYPE moderation_stage_duration_seconds histogram
moderation_stage_duration_seconds_bucket{le="0.1",stage="infer"} 2.0
moderation_stage_duration_seconds_count{stage="infer"} 2.0
moderation_stage_duration_seconds_sum{stage="infer"} 0.8
moderation_stage_duration_seconds_count{stage="publish"} 2.0
moderation_stage_duration_seconds_sum{stage="publish"} 0.1
# TYPE moderation_commit_duration_seconds histogram
moderation_commit_duration_seconds_count 2.0
moderation_commit_duration_seconds_sum 0.3
# TYPE moderation_record_stage_seconds counter
moderation_record_stage_seconds_total{stage="wait"} 50.0
moderation_record_stage_seconds_total{stage="infer"} 8.0
moderation_record_stage_seconds_total{stage="publish"} 1.0
moderation_record_stage_seconds_total{stage="transaction"} 3.0
# TYPE moderation_tokens counter
moderation_tokens_total 900.0
# TYPE moderation_padded_tokens counter
moderation_padded_tokens_total 1000.0
"""


def test_stages_are_read_with_the_commit_apart_from_publishing() -> None:
    """The worker measures the whole transaction; its first part is publishing."""
    counters = WorkerCounters.parse(METRICS)
    assert counters.stage_s == pytest.approx({"infer": 0.8, "publish": 0.1, "commit": 0.2})
    assert counters.record_stage_s == pytest.approx({"wait": 50, "infer": 8, "publish": 1, "commit": 2})
    assert counters.padding_ratio == pytest.approx(0.1)


def test_what_a_chat_waited_for_and_what_it_cost_are_two_views_of_one_run() -> None:
    """20 chats in 2 batches: each cost 40 ms of inference and waited 400 ms for its batch's."""
    counters = WorkerCounters.parse(METRICS)
    assert cost_us(counters, 20)["infer"] == 40_000
    spent = latency_ms(counters, 20, mean_latency_ms=3_100)
    assert (spent["wait"], spent["infer"], spent["publish"], spent["commit"]) == (2_500, 400, 50, 100)
    assert spent["rest"] == 50
    assert spent["decode"] == 0


def test_parts_that_are_more_than_the_whole_leave_no_rest() -> None:
    """Waiting is counted in whole milliseconds of two clocks; a negative rest would only confuse."""
    assert latency_ms(WorkerCounters.parse(METRICS), 20, mean_latency_ms=1_000)["rest"] == 0


def test_readings_subtract_and_add_by_stage() -> None:
    """Warm-up is taken out by the first reading, and a group is the sum of its workers."""
    counters = WorkerCounters.parse(METRICS)
    nothing = counters.since(counters)
    assert set(nothing.stage_s.values()) == {0.0}
    assert nothing.padding_ratio == 0
    both = counters.plus(counters)
    assert both.stage_s["infer"] == pytest.approx(1.6)
    assert both.record_stage_s["wait"] == 100
    assert both.padding_ratio == pytest.approx(0.1)


def test_a_worker_that_reports_nothing_has_empty_counters() -> None:
    """An older worker under test is no reason to fail."""
    assert WorkerCounters.parse("") == WorkerCounters()
