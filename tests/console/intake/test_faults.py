"""Killed processes, a database and brokers that are away: nothing is lost, and nothing is doubled."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from console.intake.intake import Intake
from console.intake.state import Doing
from console.store.store import now_ms
from console.store.tables import leases
from deploy.local import LocalStack
from tests.broker_twin.broker import TwinBroker
from tests.brokers import RealBroker
from tests.console.intake.rig import Rig
from tests.console.judged import a_review, a_verdict
from tests.console.operations import NOBODY, worker_settings
from tests.console.postgres import Postgres, running_postgres

N_VERDICTS = 6_000
N_REVIEWS = 600


@contextmanager
def reading(rig: Rig, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that reads; it is killed in the end."""
    given = [rig.url, rig.broker.bootstrap_servers, json.dumps(rig.topics)]
    with (folder / "err").open("ab") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.console.intake.reading", *given], stdout=err, stderr=err
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait(30)


def n_counted(rig: Rig) -> int:
    """Return how many verdicts were counted."""
    return sum(rig.counted("decision").values())


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_a_console_that_is_killed_while_it_reads_loses_and_doubles_nothing(
    stack: LocalStack, database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Thrice in the middle of 6,000 verdicts, on real Kafka; the next process goes on."""
    url = f"sqlite:///{tmp_path / 'c.sqlite3'}"
    if database == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    rig = Rig(RealBroker(stack.bootstrap_servers), url)
    at_ms = now_ms()
    rig.put_reviews(*(a_review(number, at_ms=at_ms) for number in range(N_REVIEWS)))
    rig.put_verdicts(*(a_verdict(number, at_ms=at_ms) for number in range(N_VERDICTS)))
    killed_at: list[int] = []

    def is_to_be_killed() -> bool:
        return n_counted(rig) > len(killed_at) * N_VERDICTS // 4

    def is_through() -> bool:
        return n_counted(rig) >= N_VERDICTS and len(rig.rows()) >= N_REVIEWS

    while len(killed_at) < 3:
        with reading(rig, tmp_path):
            rig.wait(is_to_be_killed, (tmp_path / "err").read_text)
        killed_at.append(n_counted(rig))
    with reading(rig, tmp_path):
        rig.wait(is_through, (tmp_path / "err").read_text)
    print(f"killed after {killed_at} of {N_VERDICTS} verdicts")  # noqa: T201
    assert rig.counted("decision") == {("default", "allow"): N_VERDICTS}
    assert sorted(row["chat_id"] for row in rig.rows()) == sorted(f"chat-{number}" for number in range(N_REVIEWS))
    rig.close()


def test_of_two_consoles_side_by_side_the_other_goes_on_where_the_reader_is_killed(
    stack: LocalStack, postgres: Postgres, tmp_path: Path
) -> None:
    """Each record is written once, by one of them."""
    rig = Rig(RealBroker(stack.bootstrap_servers), postgres.new_database())
    at_ms = now_ms()
    rig.put_reviews(*(a_review(number, at_ms=at_ms) for number in range(N_REVIEWS)))
    rig.put_verdicts(*(a_verdict(number, at_ms=at_ms) for number in range(N_VERDICTS)))
    with reading(rig, tmp_path) as one, reading(rig, tmp_path) as other:
        rig.wait(lambda: n_counted(rig) > N_VERDICTS // 4)
        (lease,) = rig.rows(leases)
        by_pid = {str(one.pid): one, str(other.pid): other}
        by_pid[lease["holder"].split(".")[-2]].kill()
        rig.wait(lambda: n_counted(rig) >= N_VERDICTS and len(rig.rows()) >= N_REVIEWS)
        assert rig.rows(leases)[0]["holder"] != lease["holder"]
    assert rig.counted("decision") == {("default", "allow"): N_VERDICTS}
    assert len({row["chat_id"] for row in rig.rows()}) == len(rig.rows()) == N_REVIEWS
    rig.close()


@pytest.mark.services
def test_a_database_that_goes_away_is_waited_for_and_told() -> None:
    """What came meanwhile is there once it is back."""
    with running_postgres() as server:
        rig = Rig(TwinBroker(), server.new_database())
        intake = rig.intake()
        intake.start()
        rig.put_reviews(a_review(1))
        rig.wait(lambda: len(rig.rows()) == 1)
        server.stop()
        rig.wait_for_without_rows(intake, Doing.DATABASE_AWAY)
        assert not intake.state.is_well
        rig.put_reviews(*(a_review(number) for number in range(2, 30)))
        server.start()
        rig.wait_for_without_rows(intake, Doing.FOLLOWING)
        rig.wait(lambda: len(rig.rows()) == 29)
        rig.close()


def test_an_address_without_a_broker_is_told(tmp_path: Path) -> None:
    """The thread ends all the same when it is asked to."""
    rig = Rig(TwinBroker(), f"sqlite:///{tmp_path / 'c.sqlite3'}")
    worker = worker_settings(NOBODY, request_timeout_s="0.3")
    intake = Intake(rig.store, rig.settings(), worker, pause_s=0.05)
    intake.start()
    rig.wait_for(intake, Doing.KAFKA_AWAY)
    assert "verdict" in intake.state.detail
    intake.close()
    rig.wait_for(intake, Doing.ENDED)
    rig.close()


def test_brokers_that_go_away_while_it_reads_are_told_until_they_answer(tmp_path: Path) -> None:
    """The client says once that all are down, and nothing when they are back: they are asked."""
    rig = Rig(TwinBroker(), f"sqlite:///{tmp_path / 'c.sqlite3'}")
    follower = rig.follower()
    answers = iter([False, False, True])
    probe = follower.probe
    follower.probe = lambda: next(answers, True) and probe()  # type: ignore[method-assign]
    intake = rig.intake(open_follower=lambda: follower)
    seen: list[Doing] = []
    say = intake._say

    def note(doing: Doing, detail: str = "") -> None:
        seen.append(doing)
        say(doing, detail)

    intake._say = note  # type: ignore[method-assign]
    intake.start()
    rig.put_reviews(a_review(1))
    rig.wait(lambda: len(rig.rows()) == 1 and intake.state.lag_records == 0)
    follower._absence.is_there = True
    rig.wait(lambda: Doing.KAFKA_AWAY in seen and intake.state.doing is Doing.FOLLOWING)
    assert seen.count(Doing.KAFKA_AWAY) == 2
    rig.close()
