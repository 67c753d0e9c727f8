"""One run: Kafka, Redis, a worker, the console, and chats that flow in until somebody ends it.

Invariant: whatever happens, all that was started has ended when `run` returns or raises. Worker and console join the
process group of the stack's watchdog, which kills the group when this process dies; it is not the terminal's group
either, so Ctrl-C reaches the demo alone, and the demo stops the rest in order.
"""

import os
import shutil
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.console_demo.variables import Pipeline
from deploy.demo.errors import DemoError
from deploy.kafka.topics import topics_of
from deploy.local import LocalStack
from deploy.local.kafka_config import MESSAGE_MAX_BYTES
from deploy.local.service_process import log_tail
from testkit.console_process import PREFIX as CONSOLE
from testkit.console_process import ConsoleProcess
from testkit.errors import HarnessError
from testkit.records import InputRecord
from testkit.sender import Sender
from testkit.worker_process import WorkerProcess
from worker.settings.source import usable_settings

N_PARTITIONS: Final = 3
"""Of each topic: more than one, so that chats are spread as in production; one worker reads them all."""
PAGES: Final = ("live", "review", "chat", "policy", "model", "try")

_STOP_GRACE_S: Final = 15.0
_SENDING: Final = {"compression.type": "lz4", "linger.ms": 5, "message.max.bytes": MESSAGE_MAX_BYTES, "log_level": 2}
_WAIT_S: Final = 0.1
"""Longest single wait: bounds how late the end of a process is noticed."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a run goes."""

    events_per_s: float
    port: int
    """The console's; 0 lets it choose."""
    work: Path
    """Gets a new folder for database and logs."""
    environment: Mapping[str, str]
    n_events: int | None = None
    """Chats stop flowing in after so many records; None: never."""


def run(records: Iterator[InputRecord], options: Options, say: Callable[[str], None]) -> None:
    """Run until KeyboardInterrupt, which is raised again when all has ended.

    Args:
        records: What flows in.
        options: How.
        say: Told each line for people.

    Raises:
        LocalStackError: Kafka or Redis cannot be started.
        DemoError: the port is somebody's, a process has ended by itself, or Kafka refuses records; its log's end is in
            the text.
    """
    _check_port(options)
    options.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="console-", dir=options.work)).resolve()
    try:
        _run(records, options, say, folder)
    except HarnessError as error:
        # Kept: the logs say more than their ends.
        logs = "\n".join(log_tail(folder / name) for name in ("worker.log", "console.log") if (folder / name).exists())
        raise DemoError(f"{error}; logs: {folder}\n{logs}") from error
    except BaseException:
        shutil.rmtree(folder)
        raise


def _check_port(options: Options) -> None:
    """Find out before Kafka is started: the console listens last, and its own error is a log's end."""
    host = options.environment.get(f"{CONSOLE}HTTP__HOST", "127.0.0.1")
    try:
        # As the console opens it: a port whose last connections are still closing is free.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, options.port), family=family).close()
    except OSError as error:
        raise DemoError(
            f"port {options.port} of {host} cannot be listened on ({error.strerror}); expected a free one; end what "
            "has it, or choose another: .venv/bin/python -m deploy.console_demo --port 0"
        ) from None


def _run(records: Iterator[InputRecord], options: Options, say: Callable[[str], None], folder: Path) -> None:
    with ExitStack() as cleanup:
        say("starting Kafka, Redis, a worker and the console")
        stack = cleanup.enter_context(LocalStack())
        pipeline = Pipeline.new(stack.bootstrap_servers, stack.redis_url, folder)
        environment = pipeline.worker_environment(options.environment)
        events_topic = _create_topics(stack, environment)
        broker_pid = stack.kafka.processes[0].pid
        if broker_pid is None:
            raise DemoError("the broker has ended; expected it to run as long as the demo; start again")
        group = os.getpgid(broker_pid)
        sender = cleanup.enter_context(closing(Sender(stack.bootstrap_servers, events_topic, _SENDING)))
        worker = WorkerProcess(environment, folder / "worker.log", process_group=group)
        cleanup.callback(worker.stop, grace_s=_STOP_GRACE_S)
        console = ConsoleProcess(
            pipeline.console_environment(options.environment), folder, port=options.port, process_group=group
        )
        cleanup.callback(console.stop, grace_s=_STOP_GRACE_S)
        address = console.address(meanwhile=worker.check)
        for page in PAGES:
            say(f"{page:<8}{address}/{page}")
        say(f"database and logs: {folder}; Ctrl-C ends everything and removes them")
        _flow(records, options, sender, (worker.check, console.check))


def _create_topics(stack: LocalStack, environment: Mapping[str, str]) -> str:
    """Create every topic of a deployment as `deploy.kafka` lists it; return the input's name."""
    kafka = usable_settings(environment, None).kafka
    alike: defaultdict[tuple[tuple[str, str], ...], dict[str, int]] = defaultdict(dict)
    for topic in topics_of(kafka):
        n_partitions = N_PARTITIONS if topic.partitions == "many" else topic.partitions
        alike[tuple(topic.config.items())][topic.name] = n_partitions
    for config, topics in alike.items():
        stack.kafka.create_topics(topics, config=dict(config))
    return kafka.input_topic


def _flow(
    records: Iterator[InputRecord], options: Options, sender: Sender, checks: tuple[Callable[[], None], ...]
) -> None:
    """Send records at their pace, and look whether everything still runs; ends by an exception only."""
    n_sent, started_s = 0, time.monotonic()
    while True:
        is_due = time.monotonic() >= started_s + n_sent / options.events_per_s
        if is_due and n_sent != options.n_events:
            sender.send(next(records))
            n_sent += 1
        else:
            time.sleep(min(_WAIT_S, 1 / options.events_per_s))
        sender.serve()
        for check in checks:
            check()
