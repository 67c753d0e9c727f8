"""The codec that is set is the codec on the topic; clients such as kafkajs read only some of them."""

from typing import Any

import pytest

from deploy.local import LocalStack
from tests.integration.conftest import StartWorker
from tests.integration.ledger import Ledger, Topics
from tests.integration.segments import batches
from worker.settings import Compression

pytestmark = pytest.mark.services


@pytest.mark.parametrize("codec", Compression)
def test_what_the_worker_writes_has_the_codec_that_is_set(
    *,
    codec: Compression,
    stack: LocalStack,
    ledger: Ledger,
    topics: Topics,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Verdicts and dead letters alike, and a reader gets back what was written."""
    ledger.send([*sample_chats[:20], *({"chat_id": f"bad-{i}", "messages": "none" * 50} for i in range(20))])
    start_worker(KAFKA__COMPRESSION=codec.value)
    ledger.wait_complete()
    ledger.assert_exactly_once()
    for topic in (topics.verdicts, topics.dead_letters):
        assert {batch.codec for batch in batches(stack.data_dir, topic)} == {codec.value}
    assert len(ledger.dead_letters()) == 20
    assert {verdict.chat_id for verdict in ledger.verdicts().values()} == {
        chat["chat_id"] for chat in sample_chats[:20]
    }
