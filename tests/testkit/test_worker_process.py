import os
from pathlib import Path

import pytest

from testkit.errors import HarnessError
from testkit.worker_process import WorkerProcess, child_environment

REPOSITORY = Path(__file__).parents[2]


def test_of_our_own_worker_settings_only_those_that_are_named_reach_the_worker() -> None:
    """A shell that is set up for a real cluster must not lead a test's worker there."""
    ours = {"PATH": "/bin", "MODERATION_MODEL__PATH": "bundle", "moderation_kafka__group_id": "production"}
    settings = {"MODERATION_KAFKA__INPUT_TOPIC": "events"}
    assert child_environment(ours, settings) == {"PATH": "/bin", **settings}
    assert child_environment(ours, settings, keep=("MODERATION_MODEL__",)) == {
        "PATH": "/bin",
        "MODERATION_MODEL__PATH": "bundle",
        **settings,
    }


@pytest.fixture
def ended(tmp_path: Path) -> WorkerProcess:
    """Return a worker that has ended: it does not know its command."""
    worker = WorkerProcess(
        child_environment(os.environ, {}), tmp_path / "worker.log", ("no-such-command",), cwd=REPOSITORY
    )
    assert worker.wait_exit(timeout_s=120) == 2
    return worker


def test_a_worker_that_has_ended_is_noticed_with_its_own_words(ended: WorkerProcess) -> None:
    """Whoever waits for it must hear of it at once, not after the time-out."""
    with pytest.raises(HarnessError, match="ended with exit code 2"):
        ended.check()
    with pytest.raises(HarnessError, match=r"(?s)ended with 2 before worker_started.*no-such-command"):
        ended.wait_for("worker_started")
    with pytest.raises(HarnessError, match="ended with exit code 2"):
        ended.wait_ready(1)
    # Twice is harmless, as after a crash.
    assert (ended.stop(), ended.stop()) == (2, 2)


def test_log_events_are_found_by_name_and_half_a_line_is_passed_over(ended: WorkerProcess) -> None:
    """A killed process leaves its last line unfinished."""
    lines = ['{"event": "batch_done", "n": 1}', '{"event": "batch_done", "n": 2}', '{"event": "worker_st']
    ended.log_path.write_text("\n".join(lines))
    assert [event["n"] for event in ended.events("batch_done")] == [1, 2]
    assert ended.wait_for("batch_done", count=2)["n"] == 2
    assert ended.tail().startswith("(1 earlier batches left out)\n" + lines[1])
