"""The worker's job on faust-streaming: an agent over the events, one at a time or with `stream.take`; exactly once.

The classifier runs in a thread, as Faust's documentation asks of code that blocks, so that the event loop goes on
fetching, committing and sending. An event is acknowledged when the agent goes on to the next one, after its verdict
was sent.
Source: faust-streaming.github.io, "Agents", "Streams: take", setting `processing_guarantee`.
"""

import asyncio
import sys
from typing import Any

import faust

from loadtest.peers.predictor import Predictor
from loadtest.peers.task import BATCH_RECORDS, COMMIT_EVERY_S, Task

_TAKE_WITHIN_S = 0.05


def application(task: Task, predictor: Predictor) -> Any:
    """Return the application."""
    app = faust.App(
        task.group_id,
        broker=f"kafka://{task.bootstrap_servers}",
        processing_guarantee="exactly_once",
        broker_commit_interval=COMMIT_EVERY_S,
        consumer_auto_offset_reset="earliest",
        datadir=task.state_folder,
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=task.n_partitions,
        topic_disable_leader=True,
        web_enabled=False,
    )
    topics = {
        name: app.topic(name, key_type=bytes, value_type=bytes) for name in (task.events_topic, task.verdict_topic)
    }
    events, verdicts = topics[task.events_topic], topics[task.verdict_topic]

    async def one_at_a_time(stream: Any) -> None:
        async for key, value in stream.items():
            await verdicts.send(key=key, value=await asyncio.to_thread(predictor.verdict, value))

    async def in_batches(stream: Any) -> None:
        async for held in stream.take_events(BATCH_RECORDS, within=_TAKE_WITHIN_S):
            judged = await asyncio.to_thread(predictor.verdicts, [event.value for event in held])
            for event, verdict in zip(held, judged, strict=True):
                await verdicts.send(key=event.key, value=verdict)

    app.agent(events)(in_batches if task.is_batched else one_at_a_time)
    return app


def main() -> None:
    """Run until stopped."""
    task = Task.of_command_line()
    app = application(task, task.predictor())
    sys.argv[1:] = ["worker", "--loglevel", "warn", "--without-web"]
    app.main()


if __name__ == "__main__":
    main()
