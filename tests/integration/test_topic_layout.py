"""How the worker's records lie on their topics: the codec that is set, the partition that Java would choose."""

from typing import Any

import pytest

from deploy.local import LocalStack
from testkit.topics import Topics
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.segments import batches
from worker.kafka.murmur2 import murmur2, partition_of
from worker.settings.kafka import Compression

pytestmark = pytest.mark.services


@pytest.mark.parametrize("codec", Compression)
def test_what_the_worker_writes_has_the_codec_that_is_set(
    *,
    codec: Compression,
    stack: LocalStack,
    ledger: LiveLedger,
    topics: Topics,
    n_partitions: int,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Verdicts and dead letters alike, and a reader gets back what was written.

    kafkajs reads only some codecs, and a join by partition needs the partitioner of the other side.
    """
    ledger.send([*sample_chats[:20], *({"chat_id": f"bad-{i}", "messages": "none" * 50} for i in range(20))])
    start_worker(KAFKA__COMPRESSION=codec.value)
    ledger.wait_complete()
    ledger.assert_exactly_once()
    for record in ledger.read():
        assert record.partition == partition_of(record.key or b"", n_partitions)
    for topic in (topics.verdicts, topics.dead_letters):
        assert {batch.codec for batch in batches(stack.data_dir, topic)} == {codec.value}
    assert len(ledger.dead_letters()) == 20
    assert {verdict.chat_id for verdict in ledger.verdicts().values()} == {
        chat["chat_id"] for chat in sample_chats[:20]
    }


@pytest.mark.parametrize(
    ("key", "expected"),
    [(b"21", -973932308), (b"foobar", -790332482), (b"abc", 479470107), (b"a-little-bit-long-string", -985981536)],
)
def test_the_hash_is_the_one_of_kafkas_own_tests(key: bytes, expected: int) -> None:
    """From UtilsTest.testMurmur2."""
    assert murmur2(key) == expected & 0xFFFFFFFF
