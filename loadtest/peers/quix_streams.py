"""The worker's job on Quix Streams.

One at a time: `StreamingDataFrame.apply`, exactly once (transactions hold verdicts and offsets). In batches: Quix
Streams batches in sinks only, and a sink writes outside the application's transaction: at least once.
Source: quix.io/docs/quix-streams, "Processing guarantees" and "Custom sinks".
"""

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from loadtest.peers.predictor import Predictor
from loadtest.peers.task import BATCH_RECORDS, COMMIT_EVERY_S, Task


class _VerdictSink(BatchingSink):
    """Judges what came since the last checkpoint, partition by partition, and publishes it before the next one."""

    def __init__(self, application: Application, topic: str, predictor: Predictor) -> None:
        super().__init__()
        self._producer = application.get_producer()
        self._topic = topic
        self._predictor = predictor

    def write(self, batch: SinkBatch) -> None:
        for items in batch.iter_chunks(BATCH_RECORDS):
            held = list(items)
            for item, verdict in zip(held, self._predictor.verdicts([item.value for item in held]), strict=True):
                self._producer.produce(topic=self._topic, key=item.key, value=verdict)

    def flush(self) -> None:
        super().flush()
        self._producer.flush()


def _application(task: Task) -> Application:
    return Application(
        broker_address=task.bootstrap_servers,
        consumer_group=task.group_id,
        auto_offset_reset="earliest",
        processing_guarantee="at-least-once" if task.is_batched else "exactly-once",
        commit_interval=COMMIT_EVERY_S,
        commit_every=BATCH_RECORDS,
        state_dir=task.state_folder,
        auto_create_topics=False,
        loglevel="WARNING",
    )


def main() -> None:
    """Run until stopped."""
    task = Task.of_command_line()
    predictor = task.predictor()
    application = _application(task)
    events = application.topic(task.events_topic, key_deserializer="bytes", value_deserializer="bytes")
    frame = application.dataframe(events)
    if task.is_batched:
        frame.sink(_VerdictSink(application, task.verdict_topic, predictor))
    else:
        verdicts = application.topic(task.verdict_topic, key_serializer="bytes", value_serializer="bytes")
        frame.apply(predictor.verdict).to_topic(verdicts)
    application.run()


if __name__ == "__main__":
    main()
