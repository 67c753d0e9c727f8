"""Events through a real worker, and the same records of the topic as a sink would archive them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Message

from loadtest.backfill.outcomes import Outcome, of_record
from loadtest.chats import ChatPool
from loadtest.errors import LoadTestError
from loadtest.run.measured_worker import MeasuredWorker
from loadtest.services import Services
from testkit.reader import BackgroundReader, Reader
from testkit.records import InputRecord, OutputRecord, Place
from testkit.sender import Sender
from testkit.topics import Topics
from testkit.waiting import wait_with_progress

_QUIET_S: Final = 120.0
_BAD_EVERY: Final = 100
_BAD: Final = (b"not json", b'{"chat_id":"empty","messages":[]}', b'{"chat_id":7,"query":"hi"}')
"""What no worker accepts: rejections must be equal too."""
_FILES: Final = 8
_GROUP_ROWS: Final = 250


def records_of(pool: ChatPool, n_events: int) -> Iterator[InputRecord]:
    """Yield events, each of a chat of its own, and every hundredth one a bad record."""
    for number in range(n_events):
        if number % _BAD_EVERY == _BAD_EVERY - 1:
            yield InputRecord(b"bad", _BAD[number // _BAD_EVERY % len(_BAD)])
        else:
            yield pool.outgoing(number, number)


def judged_by_a_worker(services: Services, topics: Topics, pool: ChatPool, n_events: int) -> dict[str, Any]:
    """Send events and return the worker's outcomes, and its rate from the first to the last of them.

    Raises:
        LoadTestError: not every record has an outcome.
    """
    found: dict[Place, Outcome] = {}
    times: list[float] = []

    def take(messages: Sequence[Message], now_s: float) -> None:
        times.append(now_s)
        found.update(of_record(OutputRecord.of(message), topics.verdicts) for message in messages)

    with closing(Sender(topics.bootstrap_servers, topics.events, topics.properties)) as sender:
        for record in records_of(pool, n_events):
            sender.send(record)
        sender.flush()
    started = time.perf_counter()
    with MeasuredWorker(topics, services) as worker, BackgroundReader(topics, take) as reader:

        def done() -> bool:
            worker.check()
            reader.check()
            return len(found) >= n_events

        if not wait_with_progress(done, progress=lambda: len(found), quiet_s=_QUIET_S):
            raise LoadTestError(
                f"{len(found)} of {n_events} records have an outcome and none came for {_QUIET_S:.0f} s; expected one "
                f"for each; the worker's last lines:\n{worker.log_tail()}"
            )
        started += worker.start_to_ready_s
    return {"outcomes": found, "seconds": times[-1] - started}


def write_archive(topics: Topics, folder: Path) -> None:
    """Write the records of the event topic as Parquet: value, topic, partition, offset, timestamp."""
    import pyarrow as pa  # noqa: PLC0415  of an extra that other measurements do not need
    from pyarrow import parquet  # noqa: PLC0415

    with closing(Reader(topics.bootstrap_servers, [topics.events], properties=topics.properties)) as reader:
        rows = [
            {
                "value": message.value(),
                "topic": message.topic(),
                "partition": message.partition(),
                "offset": message.offset(),
                "timestamp_ms": message.timestamp()[1],
            }
            for message in reader.read_to_end()
        ]
    folder.mkdir(parents=True)
    size = -(-len(rows) // _FILES)
    for number in range(_FILES):
        table = pa.Table.from_pylist(rows[number * size : (number + 1) * size])
        parquet.write_table(table, folder / f"{number}.parquet", row_group_size=_GROUP_ROWS)
