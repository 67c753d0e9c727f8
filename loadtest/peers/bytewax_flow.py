"""The worker's job on Bytewax: `map` over single records, or `flat_map_batch` over what the Kafka source just polled.

At least once: offsets are snapshots in Bytewax's recovery store, not in Kafka, and the sink has no transactions.
Source: docs.bytewax.io, "Kafka connectors", "Recovery", `bytewax.operators.flat_map_batch`.
"""

from datetime import timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from loadtest.peers.predictor import Predictor
from loadtest.peers.task import BATCH_RECORDS, COMMIT_EVERY_S, Task


def dataflow(task: Task, predictor: Predictor) -> Dataflow:
    """Return the dataflow."""

    def one_at_a_time(message: Any) -> KafkaSinkMessage[bytes, bytes]:
        return KafkaSinkMessage(message.key, predictor.verdict(message.value))

    def in_batches(messages: list[Any]) -> list[KafkaSinkMessage[bytes, bytes]]:
        verdicts = predictor.verdicts([message.value for message in messages])
        return [KafkaSinkMessage(message.key, verdict) for message, verdict in zip(messages, verdicts, strict=True)]

    brokers = task.bootstrap_servers.split(",")
    flow = Dataflow("moderation")
    events = kafka.input("events", flow, brokers=brokers, topics=[task.events_topic], batch_size=BATCH_RECORDS)
    if task.is_batched:
        verdicts = op.flat_map_batch("predict", events.oks, in_batches)
    else:
        verdicts = op.map("predict", events.oks, one_at_a_time)
    kafka.output("verdicts", verdicts, brokers=brokers, topic=task.verdict_topic)
    return flow


def main() -> None:
    """Run until stopped."""
    task = Task.of_command_line()
    task.state_folder.mkdir(exist_ok=True)
    init_db_dir(task.state_folder, 1)
    cli_main(
        dataflow(task, task.predictor()),
        epoch_interval=timedelta(seconds=COMMIT_EVERY_S),
        recovery_config=RecoveryConfig(task.state_folder),
    )


if __name__ == "__main__":
    main()
