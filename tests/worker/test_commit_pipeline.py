"""One commit at a time, in order, and no failure unseen."""

import threading

import pytest

from worker.commit_pipeline import CommitPipeline
from worker.errors import BatchAborted


@pytest.fixture
def pipeline() -> CommitPipeline:
    """Return a pipeline with a thread of its own."""
    return CommitPipeline(background=True)


def fail() -> None:
    """Commit in vain."""
    raise BatchAborted("no")


def test_a_commit_runs_beside_the_caller(pipeline: CommitPipeline) -> None:
    """The next batch is classified meanwhile."""
    may_end = threading.Event()

    def commit() -> None:
        may_end.wait()

    pipeline.submit(commit)
    pipeline.check()
    may_end.set()
    pipeline.wait()


def test_a_failed_commit_is_raised_once(pipeline: CommitPipeline) -> None:
    """Not raised, the next batch would be committed over a hole; raised twice, it would be read again for nothing."""
    pipeline.submit(fail)
    with pytest.raises(BatchAborted):
        pipeline.wait()
    pipeline.wait()
    pipeline.check()


def test_settling_waits_and_keeps_the_failure_for_later(pipeline: CommitPipeline) -> None:
    """An exception inside a rebalance callback would tear the poll apart."""
    pipeline.submit(fail)
    pipeline.settle()
    with pytest.raises(BatchAborted):
        pipeline.check()


def test_closing_waits_for_the_commit_in_flight(pipeline: CommitPipeline) -> None:
    """The consumer leaves the group after it, not before."""
    ended = threading.Event()
    may_end = threading.Event()

    def commit() -> None:
        may_end.wait()
        ended.set()

    pipeline.submit(commit)
    may_end.set()
    pipeline.close()
    assert ended.is_set()


def test_in_the_foreground_a_commit_fails_where_it_is_submitted() -> None:
    """At-least-once commits call the consumer, which only its own thread may do."""
    pipeline = CommitPipeline(background=False)
    with pytest.raises(BatchAborted):
        pipeline.submit(fail)
    pipeline.wait()


def test_who_waits_may_do_something_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the lag, say, which grows while the brokers take nothing; the error comes all the same."""
    monkeypatch.setattr("worker.commit_pipeline._MEANWHILE_EVERY_S", 0.01)
    pipeline, go_on, n_calls = CommitPipeline(background=True), threading.Event(), list[int]()

    def commit() -> None:
        go_on.wait(30)
        raise BatchAborted("no")

    def meanwhile() -> None:
        n_calls.append(1)
        if len(n_calls) == 3:
            go_on.set()

    pipeline.submit(commit)
    with pytest.raises(BatchAborted):
        pipeline.wait(meanwhile)
    assert len(n_calls) >= 3
    pipeline.wait(meanwhile)
    pipeline.close()
