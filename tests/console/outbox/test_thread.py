"""The thread that sends goes on whatever a turn meets, and is woken early."""

import threading

from structlog.testing import capture_logs

from console.outbox.thread import TurnThread
from console.store.store import StoreAway
from testkit.waiting import wait_until


def test_no_fault_ends_it_and_it_is_woken_before_its_time() -> None:
    """What stands in the database is sent by nobody else."""
    turns: list[int] = []
    ended = threading.Event()
    faults = [StoreAway("OperationalError"), ZeroDivisionError()]

    def turn() -> float:
        turns.append(1)
        if faults:
            raise faults.pop(0)
        return 3_600.0

    def end() -> None:
        ended.set()
        raise StoreAway("OperationalError")

    with capture_logs() as lines:
        thread = TurnThread("test", turn, end)
        thread.start()
        wait_until(lambda: len(turns) == 3, timeout_s=30)
        thread.wake()
        wait_until(lambda: len(turns) == 4, timeout_s=30)
        thread.close()
    assert ended.is_set()
    assert [line["event"] for line in lines] == ["store_away", "turn_failed", "store_away"]


def test_what_is_put_during_a_turn_wakes_the_next_one() -> None:
    """Else it would wait for the next look."""
    in_turn, go_on = threading.Event(), threading.Event()
    turns: list[int] = []

    def turn() -> float:
        turns.append(1)
        if len(turns) == 1:
            in_turn.set()
            go_on.wait(30)
        return 3_600.0

    thread = TurnThread("test", turn, lambda: None)
    thread.start()
    assert in_turn.wait(30)
    thread.wake()
    go_on.set()
    wait_until(lambda: len(turns) == 2, timeout_s=30)
    thread.close()
