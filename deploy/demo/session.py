"""One run of the demo: start everything, exchange events for verdicts, stop everything, balance the account.

Invariant: whatever happens, the worker, the broker and Redis have ended when `run_session` returns or raises. The
worker's log is kept where the run failed, and removed where it did not.
"""

import shutil
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.demo.errors import DemoError
from deploy.demo.events import Plan
from deploy.demo.exchange import Exchange
from deploy.demo.ledger import Ledger, Problems
from deploy.demo.live_table import LiveTable
from deploy.demo.publisher import EventPublisher
from deploy.demo.summary import Durations, Summary, summarise
from deploy.demo.verdict_stream import VerdictStream
from deploy.demo.worker_process import WorkerProcess
from deploy.local import LocalStack
from deploy.local.service_process import log_tail
from schemas import Verdict

INPUT_TOPIC: Final = "chat-events"
VERDICT_TOPIC: Final = "verdicts"
DEAD_LETTER_TOPIC: Final = "chat-events.dlq"
N_PARTITIONS: Final = 3
"""Of each topic: more than one, so that chats are spread as in production; one worker reads them all."""

_WORKER_SETTINGS: Final = {
    "KAFKA__INPUT_TOPIC": INPUT_TOPIC,
    "KAFKA__VERDICT_TOPIC": VERDICT_TOPIC,
    "KAFKA__DEAD_LETTER_TOPIC": DEAD_LETTER_TOPIC,
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes."""

    events_per_s: float
    """Pace of the latency phase."""
    stall_timeout_s: float
    """Without any answer for longer, the run has failed."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    summary: Summary
    problems: Problems
    example: Verdict | None
    failure: str | None
    """Why the run failed, the end of the worker's log included; None where all is well."""


def run_session(plan: Plan, options: Options, console: Console) -> Result:
    """Run the demo.

    Raises:
        LocalStackError: Kafka or Redis cannot be started.
        DemoError: The answers cannot be read.
    """
    folder = Path(tempfile.mkdtemp(prefix="verdictstream-demo-"))
    log_path = folder / "worker.log"
    try:
        result = _Session(plan, options, console, log_path).run()
    except DemoError as error:
        raise DemoError(f"{error}\n{log_tail(log_path)}") from error
    except BaseException:
        shutil.rmtree(folder)
        raise
    if result.failure is None:
        shutil.rmtree(folder)
        return result
    return replace(result, failure=f"{result.failure}\n{log_tail(log_path)}")


class _Session:
    """One run; see `run_session`."""

    def __init__(self, plan: Plan, options: Options, console: Console, log_path: Path) -> None:
        self._plan = plan
        self._options = options
        self._console = console
        self._log_path = log_path
        self._ledger = Ledger()

    def run(self) -> Result:
        """Start everything, publish everything, stop everything; what was started last stops first."""
        with ExitStack() as cleanup:
            self._console.print("starting Kafka and Redis", highlight=False)
            started = time.perf_counter()
            stack = cleanup.enter_context(LocalStack())
            stack.kafka.create_topics({VERDICT_TOPIC: N_PARTITIONS, DEAD_LETTER_TOPIC: N_PARTITIONS})
            # The broker stamps each event when it appends it: latency counts from there.
            stack.kafka.create_topics({INPUT_TOPIC: N_PARTITIONS}, config={"message.timestamp.type": "LogAppendTime"})
            stack_start_s = time.perf_counter() - started
            stream = cleanup.enter_context(closing(_stream(stack)))
            publisher = cleanup.enter_context(
                closing(EventPublisher(stack.bootstrap_servers, topic=INPUT_TOPIC, ledger=self._ledger))
            )
            worker = cleanup.enter_context(WorkerProcess(stack, _WORKER_SETTINGS, self._log_path))
            exchange, failure = self._exchange(publisher, stream, worker)
            exit_code = worker.stop()
            # Nobody writes any more: a second answer to any event would be found now.
            for answer in stream.read_to_end():
                self._ledger.answer(answer)
        durations = Durations(
            stack_start_s=round(stack_start_s, 3),
            worker_start_s=round(exchange.first_s, 3),
            backlog_s=round(exchange.backlog_s, 3),
            paced_s=round(exchange.paced_s, 3),
        )
        return self._result(summarise(self._ledger, durations), stream.example, exit_code, failure)

    def _exchange(
        self, publisher: EventPublisher, stream: VerdictStream, worker: WorkerProcess
    ) -> tuple[Exchange, str | None]:
        """Return the exchange after its end, and why it ended early where it did."""
        with LiveTable(self._console, n_events=self._plan.n_events) as table:
            exchange = Exchange(
                publisher,
                stream,
                self._ledger,
                table,
                check_worker=worker.check,
                events_per_s=self._options.events_per_s,
                stall_timeout_s=self._options.stall_timeout_s,
            )
            try:
                exchange.run(self._plan)
            except DemoError as error:
                return exchange, str(error)
        return exchange, None

    def _result(self, summary: Summary, example: Verdict | None, exit_code: int, failure: str | None) -> Result:
        if failure is None and not summary.balanced:
            failure = "the account does not balance; expected exactly one verdict or dead letter for each event"
        if failure is None and exit_code != 0:
            failure = f"the worker ended with exit code {exit_code} when it was asked to stop; expected 0"
        return Result(summary, self._ledger.problems(), example, failure)


def _stream(stack: LocalStack) -> VerdictStream:
    return VerdictStream(
        stack.bootstrap_servers,
        verdict_topic=VERDICT_TOPIC,
        dead_letter_topic=DEAD_LETTER_TOPIC,
        n_partitions=N_PARTITIONS,
    )
