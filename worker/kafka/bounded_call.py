"""Call a client that may not come back, and stop waiting for it.

librdkafka bounds a transaction step by the time-out it is given, but not always: with one of three brokers killed,
`send_offsets_to_transaction(…, 15 s)` was seen to wait for over half a minute. A thread in C code cannot be ended, so
it is left behind, with what it holds; the caller must not use that client again.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import KafkaError, KafkaException


def bounded(call: Callable[[], None], *, timeout_s: float) -> None:
    """Run a call in a thread of its own and wait for it.

    Raises:
        KafkaException: it has not returned after `timeout_s`; or whatever the call itself raises.
    """
    answer: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  handed to the caller, whatever it is
            answer.set_exception(error)
        else:
            answer.set_result(None)

    # A daemon, so that one that never returns does not hold up the end of the process.
    threading.Thread(target=run, name="bounded-call", daemon=True).start()
    try:
        answer.result(timeout_s)
    except FutureTimeoutError:
        timed_out = KafkaError._TIMED_OUT  # noqa: SLF001  librdkafka's local codes start with an underscore
        raise KafkaException(KafkaError(timed_out, f"the client did not return within {timeout_s} s")) from None
