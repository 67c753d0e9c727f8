"""The only broker dies and comes back: what people decide meanwhile is sent then, soon, once and in order."""

from collections.abc import Iterator

import orjson
import pytest

from console.metrics import Metrics
from console.outbox.assembly import open_outbox
from console.settings.operations import AppealSettings
from console.store.outbox_rows import Kind, sending
from console.store.store import Store, now_ms
from deploy.local import BrokerOptions, LocalStack
from testkit.reader import read_all
from testkit.waiting import wait_until
from tests.brokers import QUICK_SESSIONS
from tests.console.operations import worker_settings
from tests.console.outbox.parts import block, clear, put_row

pytestmark = [pytest.mark.services, pytest.mark.chaos]

LONG_S = 90.0
"""Far above what it takes: a busy machine is no fault."""


@pytest.fixture(scope="module")
def broker() -> Iterator[LocalStack]:
    """One broker of this file's own, because it is killed."""
    with LocalStack(broker_options=BrokerOptions(settings=QUICK_SESSIONS)) as running:
        yield running


def test_what_is_decided_during_an_outage_is_sent_after_it(broker: LocalStack, store: Store) -> None:
    """Nothing is given up, the state says since when, and it is well again."""
    names = {"overrides_topic": "o", "decisions_topic": "d", "feedback_topic": "f"}
    broker.kafka.create_topics(dict.fromkeys(names.values(), 2))
    worker = worker_settings(broker.bootstrap_servers, request_timeout_s="2", transaction_timeout_s="2", **names)
    outbox = open_outbox(store, worker, AppealSettings(), Metrics())
    outbox.start()

    def is_sent(decision_id: str, kind: Kind = Kind.OVERRIDE_SET) -> bool:
        with store.reading() as connection:
            found = sending(connection, decision_id, kind)
        return found is not None and found.state == "sent"

    put_row(store, block(), "d1", not_before_ms=now_ms())
    wait_until(lambda: is_sent("d1"), timeout_s=LONG_S)
    broker.kafka.stop_broker(0, kill=True)
    put_row(store, clear(), "d2", not_before_ms=now_ms())
    put_row(store, block(reason="other"), "d3", not_before_ms=now_ms())
    wait_until(lambda: outbox.state.trouble is not None, timeout_s=LONG_S)
    assert not is_sent("d2", Kind.OVERRIDE_CLEAR)
    broker.kafka.start_broker(0)
    wait_until(lambda: is_sent("d3"), timeout_s=LONG_S, what=lambda: f"{outbox.state.trouble}")
    wait_until(lambda: outbox.state.trouble is None, timeout_s=LONG_S)
    outbox.close()
    written = [one.value for one in read_all(broker.bootstrap_servers, ["o"])]
    reasons = [None if value is None else orjson.loads(value)["reason"] for value in written]
    assert reasons == ["abuse", None, "other"]
    ids = [orjson.loads(one.value or b"")["decision_id"] for one in read_all(broker.bootstrap_servers, ["d"])]
    assert ids == ["d1", "d2", "d3"]
