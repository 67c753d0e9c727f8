"""One run of the demo: start everything, exchange events for verdicts, stop everything, balance the account.

Invariant: whatever happens, the worker, the broker and Redis have ended when `run_session` returns or raises. The
worker's log is kept where the run failed, and removed where it did not.

The worker never outlives the demo. It joins the process group of the stack's watchdog, which kills the group when this
process dies; it is not the terminal's group either, so Ctrl-C reaches the demo alone, and the demo stops the rest.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.demo.account import DemoAccount, VerdictSeen
from deploy.demo.errors import DemoError
from deploy.demo.events import Plan
from deploy.demo.exchange import Exchange
from deploy.demo.live_table import LiveTable
from deploy.demo.model_in_use import ModelInUse
from deploy.demo.shown_chats import ShownChat, with_verdicts
from deploy.demo.summary import Durations, Summary, summarise
from deploy.demo.verdict_stream import VerdictStream
from deploy.local import LocalStack
from deploy.local.kafka_config import MESSAGE_MAX_BYTES
from deploy.local.service_process import log_tail
from schemas import Verdict
from testkit.errors import HarnessError
from testkit.ledger import Faults
from testkit.sender import Sender
from testkit.topics import Topics
from testkit.worker_process import PREFIX, WorkerProcess, child_environment

N_PARTITIONS: Final = 3
"""Of each topic: more than one, so that chats are spread as in production; one worker reads them all."""

_STOP_GRACE_S: Final = 15.0
_SENDING: Final = {
    "compression.type": "lz4",
    "linger.ms": 5,
    "message.max.bytes": MESSAGE_MAX_BYTES,
    # What matters of the client's log is raised; the rest would be drawn across the live table.
    "log_level": 2,
}
_NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime (1.29 and later) would write a device id and an event queue into the home and temporary folders."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes."""

    events_per_s: float
    """Pace of the latency phase."""
    stall_timeout_s: float
    """Without any answer for longer, the run has failed."""
    model: ModelInUse
    """What the worker judges by, as far as the report needs it."""
    environment: Mapping[str, str]
    """Ours, with what the worker is to judge by."""
    shown: tuple[ShownChat, ...] = ()
    """Chats that the report shows with their text."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run came to."""

    summary: Summary
    problems: Faults
    example: Verdict | None
    shown: tuple[tuple[ShownChat, VerdictSeen], ...]
    """Chats to show with their text, and their verdicts."""
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
    except HarnessError as error:
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

    def run(self) -> Result:
        """Start everything, publish everything, stop everything; what was started last stops first."""
        with ExitStack() as cleanup:
            self._console.print("starting Kafka and Redis", highlight=False)
            started = time.perf_counter()
            stack = cleanup.enter_context(LocalStack())
            topics = _topics(stack)
            stack_start_s = time.perf_counter() - started
            account = DemoAccount(topics)
            stream = cleanup.enter_context(closing(VerdictStream(topics)))
            sender = cleanup.enter_context(closing(Sender(topics.bootstrap_servers, topics.events, _SENDING)))
            worker = _start_worker(stack, topics, self._log_path, self._options.environment)
            cleanup.callback(worker.stop, grace_s=_STOP_GRACE_S)
            exchange, failure = self._exchange(account, sender, stream, worker)
            exit_code = worker.stop(grace_s=_STOP_GRACE_S)
            # Nobody writes any more: a second answer to any event would be found now.
            for answer in stream.read_to_end():
                account.answer(answer)
        durations = Durations(
            stack_start_s=round(stack_start_s, 3),
            worker_start_s=round(exchange.first_s, 3),
            backlog_s=round(exchange.backlog_s, 3),
            paced_s=round(exchange.paced_s, 3),
        )
        summary = summarise(account, durations, self._options.model)
        failure = failure or _wrong(summary, exit_code)
        shown = with_verdicts(self._options.shown, account.closed())
        return Result(summary, account.problems(), stream.example, shown, failure)

    def _exchange(
        self, account: DemoAccount, sender: Sender, stream: VerdictStream, worker: WorkerProcess
    ) -> tuple[Exchange, str | None]:
        """Return the exchange after its end, and why it ended early where it did."""
        with LiveTable(self._console, n_events=self._plan.n_events) as table:
            exchange = Exchange(
                sender,
                stream,
                account,
                table,
                check_worker=worker.check,
                events_per_s=self._options.events_per_s,
                stall_timeout_s=self._options.stall_timeout_s,
            )
            try:
                exchange.run(self._plan)
            except HarnessError as error:
                return exchange, str(error)
        return exchange, None


def _wrong(summary: Summary, exit_code: int) -> str | None:
    """Say what is wrong with a run that went to its end; None where all is well."""
    if not summary.balanced:
        return "the account does not balance; expected exactly one verdict or dead letter for each event"
    if exit_code != 0:
        return f"the worker ended with exit code {exit_code} when it was asked to stop; expected 0"
    return None


def _topics(stack: LocalStack) -> Topics:
    """Create the topics."""
    topics = Topics(
        stack.bootstrap_servers, "chat-events", "verdicts", "chat-events.dlq", "verdictstream", N_PARTITIONS
    )
    stack.kafka.create_topics(dict.fromkeys(topics.outputs, N_PARTITIONS))
    # The broker stamps each event when it appends it: latency counts from there.
    stack.kafka.create_topics({topics.events: N_PARTITIONS}, config={"message.timestamp.type": "LogAppendTime"})
    return topics


def _start_worker(stack: LocalStack, topics: Topics, log_path: Path, environment: Mapping[str, str]) -> WorkerProcess:
    broker_pid = stack.kafka.processes[0].pid
    if broker_pid is None:
        raise DemoError("the broker has ended; expected it to run as long as the demo; start again")
    settings = {**topics.worker_settings(), f"{PREFIX}REDIS__URL": stack.redis_url}
    return WorkerProcess(worker_environment(environment, settings), log_path, process_group=os.getpgid(broker_pid))


def worker_environment(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's environment.

    Args:
        environment: Ours. Of its worker settings only the model's are kept: the rest is about another Kafka.
        settings: What the demo sets.
    """
    return child_environment(environment, {**_NO_TELEMETRY, **settings}, keep=(f"{PREFIX}MODEL__",))
