"""Jobs in a thread of their own go on, whatever one of them meets."""

import threading

from structlog.testing import capture_logs

from worker.process.periodic import Periodic

WAIT_S = 30


def test_a_job_that_raises_is_done_again_and_stops_no_other() -> None:
    """A thread that ended would leave lists and tables as they were, and no gauge would show it."""
    rounds: list[int] = []
    is_done = threading.Event()

    def fails() -> None:
        raise OverflowError("date value out of range")

    def counts() -> None:
        rounds.append(1)
        if len(rounds) == 3:
            is_done.set()

    with capture_logs() as lines:
        jobs = Periodic("jobs", 0.001, [fails, counts])
        assert is_done.wait(WAIT_S)
        jobs.close()
    assert [line["event"] for line in lines] == ["periodic_job_failed"]
    assert lines[0]["thread"] == "jobs"
