"""Write records of people's decisions and reports: one producer, one transaction after the other."""

from collections.abc import Sequence
from typing import Final

from console.pipeline.errors import PipelineAway
from worker.errors import BatchAborted, Fatal
from worker.kafka.written_together import KeyedRecord, TransactionalWriter, WriteRefused
from worker.settings.worker import WorkerSettings

_NAME: Final = "override.outbox"
"""Goes behind the group id; the same for all consoles, so that of two senders the older is fenced."""


class RecordRefused(Exception):  # noqa: N818  the name says what happened
    """What is asked for can never be written, or would count for nothing; its text says why, and names no chat."""


class PipelineWriter:
    """Writes in transactions; for one thread.

    Args:
        settings: The worker's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._writer = TransactionalWriter(settings.kafka, f"{settings.kafka.group_id}.{_NAME}")

    def open(self) -> None:
        """Connect, so that the next write is quick, and fence whoever wrote before; raises PipelineAway."""
        try:
            self._writer.open()
        except (BatchAborted, Fatal) as error:
            raise PipelineAway(str(error)) from error

    def write(self, records: Sequence[KeyedRecord]) -> None:
        """Write records in one transaction: all or none.

        Raises:
            RecordRefused: the brokers will never take one of them.
            PipelineAway: they do not answer, lack a right or a topic, or another console writes now; what was written
                may be there nevertheless.
        """
        try:
            self._writer.write(records)
        except WriteRefused as error:
            raise RecordRefused(str(error)) from error
        except (BatchAborted, Fatal) as error:
            raise PipelineAway(str(error)) from error

    def close(self) -> None:
        """Release the connection."""
        self._writer.close()
