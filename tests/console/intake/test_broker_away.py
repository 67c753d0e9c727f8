"""The only broker dies, or hangs, and comes back while a console reads."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from console.intake.intake import Intake
from console.intake.state import Doing
from deploy.local import LocalStack
from tests.brokers import RealBroker
from tests.console.intake.rig import Rig
from tests.console.judged import a_review


@pytest.fixture
def own_stack() -> Iterator[LocalStack]:
    """One broker of this test's own, because it is killed."""
    with LocalStack() as running:
        yield running


@pytest.mark.services
def test_a_broker_that_dies_or_hangs_is_told_and_read_again(own_stack: LocalStack, tmp_path: Path) -> None:
    """By the reader's own connection, without a restart; what came since is read."""
    rig = Rig(RealBroker(own_stack.bootstrap_servers), f"sqlite:///{tmp_path / 'c.sqlite3'}")
    intake = Intake(rig.store, rig.settings(), rig.worker, pause_s=0.1)
    intake.start()
    rig.put_reviews(a_review(1))
    rig.wait(lambda: len(rig.rows()) == 1)
    assert intake.state.doing is Doing.FOLLOWING
    own_stack.kafka.stop_broker(0, kill=True)
    rig.wait_for(intake, Doing.KAFKA_AWAY)
    own_stack.kafka.start_broker(0)
    rig.wait_for(intake, Doing.FOLLOWING)
    rig.put_reviews(a_review(2))
    rig.wait(lambda: len(rig.rows()) == 2)
    # One that hangs closes no connection.
    own_stack.kafka.pause_broker(0)
    rig.wait_for(intake, Doing.KAFKA_AWAY)
    own_stack.kafka.resume_broker(0)
    rig.wait_for(intake, Doing.FOLLOWING)
    rig.put_reviews(a_review(3))
    rig.wait(lambda: len(rig.rows()) == 3)
    intake.close()
    rig.close()
