"""Faults of Kafka's clients, laid over a client of either broker: errors that no healthy broker gives."""

import threading
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

Failures = dict[str, list[BaseException | None]]

_FLUSH_S = 30.0


def kafka_failure(code: int, *, fatal: bool = False, requires_abort: bool = False) -> KafkaException:
    """Return what the client raises."""
    # The client's own signature: code, reason, fatal, retriable, requires abort.
    return KafkaException(KafkaError(code, "reason", fatal, False, requires_abort))  # noqa: FBT003


class FaultyClient:
    """A client that notes its calls, and raises where it is told to instead of calling.

    Args:
        client: A producer or a consumer.
        failures: Method name to the errors of its next calls, in order; None where a call goes through.
    """

    def __init__(self, client: Any, failures: Failures | None = None) -> None:
        self.failures = failures or {}
        self.calls: list[str] = []
        self._client = client

    def __getattr__(self, name: str) -> Any:
        """Return a method that is noted."""
        method = getattr(self._client, name)

        def noted(*args: Any, **kwargs: Any) -> Any:
            self.before(name)
            return method(*args, **kwargs)

        return noted

    def before(self, name: str) -> None:
        """Note a call, and fail where it is to."""
        self.calls.append(name)
        failure = self.failures[name].pop(0) if self.failures.get(name) else None
        if failure is not None:
            raise failure


class FaultyProducer(FaultyClient):
    """A producer whose deliveries can fail.

    Args:
        client: A producer.
        failures: See `FaultyClient`.
        delivery_error: With what every delivery is reported.
        n_unacknowledged: How many messages a flush leaves.
    """

    def __init__(
        self,
        client: Producer,
        failures: Failures | None = None,
        *,
        delivery_error: KafkaError | None = None,
        n_unacknowledged: int = 0,
    ) -> None:
        super().__init__(client, failures)
        self.delivery_error = delivery_error
        self._n_unacknowledged = n_unacknowledged

    def before(self, name: str) -> None:
        """Note a call, and fail where it is to."""
        if name in {"send_offsets_to_transaction", "commit_transaction"} and self.failures.get(name):
            # So that the fault meets the same state each time: an abort beside messages on their way can take longer
            # than its time-out.
            self._client.flush(_FLUSH_S)
        super().before(name)

    def produce(self, topic: str, *, on_delivery: Any = None, **message: Any) -> None:
        """Take a message, and report on it in its own way."""
        self.before("produce")
        told = None if on_delivery is None else lambda error, m: on_delivery(self.delivery_error or error, m)
        self._client.produce(topic, on_delivery=told, **message)

    def flush(self, timeout_s: float) -> int:
        """Send everything, and say that some of it is left."""
        self.before("flush")
        return int(self._client.flush(timeout_s)) + self._n_unacknowledged


class StuckClient(FaultyClient):
    """A client that does not come back from one call until it is released.

    Args:
        client: A producer.
        step: Name of the call.
    """

    def __init__(self, client: Any, step: str) -> None:
        super().__init__(client)
        self._step = step
        self.released = threading.Event()

    def before(self, name: str) -> None:
        """Note a call, and stay in it."""
        super().before(name)
        if name == self._step:
            self.released.wait()
            raise kafka_failure(KafkaError._TIMED_OUT)
