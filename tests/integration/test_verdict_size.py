"""A verdict topic that takes small records only: what is too large becomes a dead letter, its neighbours do not."""

from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from deploy.local.ports import free_ports
from testkit.topics import Topics
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples

LONG = "\N{AUTOMOBILE}" * 256
"""As long as an id may be: 1,024 bytes in each of three fields, and a verdict carries all of them."""
LIMIT_BYTES = 7_000
"""Of a record batch. 5,000 of them are kept for headers, and a verdict with short ids has some 1,300."""


def take_at_most(topics: Topics, name: str, n_bytes: int) -> None:
    """Set the largest record batch that a topic takes."""
    resource = ConfigResource(ResourceType.TOPIC, name)
    limit = ConfigEntry("max.message.bytes", str(n_bytes), incremental_operation=AlterConfigOpType.SET)
    resource.add_incremental_config(limit)
    admin = AdminClient({"bootstrap.servers": topics.bootstrap_servers})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)


def test_a_verdict_that_its_topic_does_not_take_ends_as_a_dead_letter_with_a_short_reason(
    *, ledger: LiveLedger, topics: Topics, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F21: sent all the same it would undo its batch for ever, and its neighbours' with it."""
    take_at_most(topics, topics.verdicts, LIMIT_BYTES)
    (port,) = free_ports(1)
    start_worker(HTTP__PORT=str(port))
    short = [{"chat_id": f"short-{i}", "messages": sample_chats[i]["messages"][:1]} for i in range(20)]
    long = short[0] | {"chat_id": LONG, "event_id": LONG, "occurred_at": LONG}
    ledger.send([*short[:10], long, *short[10:]])
    ledger.wait_complete()
    ((place, letter),) = ledger.dead_letters().items()
    assert ledger.sent[place].key == LONG.encode()
    assert letter.headers["reason"] == "verdict_too_large"
    assert f"the limit of {topics.verdicts}" in letter.headers["error"]
    assert len(letter.headers["error"]) < 200
    assert samples(port, "moderation_rejections_total") == {(("reason", "verdict_too_large"),): 1}
    ledger.assert_exactly_once()
