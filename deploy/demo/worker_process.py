"""The worker as operators run it: `python -m worker run`, told everything by MODERATION_ variables, logging to a file.

Invariant: it never outlives the demo. It joins the process group of the stack's watchdog, which kills the group when
this process dies; it is not the terminal's group either, so Ctrl-C reaches the demo alone, and the demo stops the rest.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.demo.errors import DemoError
from deploy.local import LocalStack

_PREFIX: Final = "MODERATION_"
_KEPT_PREFIX: Final = "MODERATION_MODEL__"
_STOP_GRACE_S: Final = 15.0
_NO_TELEMETRY: Final = {"ORT_DISABLE_TELEMETRY": "1"}
"""ONNX Runtime (1.29 and later) would write a device id and an event queue into the home and temporary folders."""


def worker_environment(environment: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Return the worker's environment.

    Args:
        environment: Ours. Of its worker settings only the model's are kept: the rest is about another Kafka.
        settings: What the demo sets, by setting name without the prefix.
    """
    inherited = {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith(_PREFIX) or name.upper().startswith(_KEPT_PREFIX)
    }
    return inherited | _NO_TELEMETRY | {_PREFIX + name: value for name, value in settings.items()}


class WorkerProcess:
    """A running worker.

    Args:
        stack: The stack it works on; it runs.
        settings: Settings by name without the prefix, besides the addresses.
        log_path: Where its log goes.
    """

    def __init__(self, stack: LocalStack, settings: Mapping[str, str], log_path: Path) -> None:
        environment = worker_environment(
            os.environ,
            {"KAFKA__BOOTSTRAP_SERVERS": stack.bootstrap_servers, "REDIS__URL": stack.redis_url, **settings},
        )
        broker_pid = stack.kafka.processes[0].pid
        if broker_pid is None:
            raise DemoError("the broker has ended; expected it to run as long as the demo; start again")
        with log_path.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "worker", "run"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=os.getpgid(broker_pid),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Make sure that the worker runs.

        Raises:
            DemoError: It has ended.
        """
        if self._child.poll() is not None:
            raise DemoError(
                f"the worker ended with exit code {self._child.returncode}; expected it to run until it is stopped"
            )

    def stop(self) -> int:
        """Ask for an orderly end and return the exit code; kill it when it takes too long. Twice is harmless."""
        self._child.terminate()
        try:
            return self._child.wait(_STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()
