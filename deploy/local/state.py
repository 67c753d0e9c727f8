"""Remember between `up`, `status` and `down` which processes make up the stack.

Invariant: the file is replaced as a whole, and lists a process before anything waits for it, so
that `down` finds everything even when `up` itself was killed half way.
"""

import json
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from deploy.local.errors import StateError
from deploy.local.service_process import ProcessIdentity
from deploy.local.stack import LocalStack, remove_data

_FORMAT = 1
_STOP_GRACE_S = 20.0


@dataclass(frozen=True)
class RecordedService:
    """One service as the state file names it."""

    name: str
    address: str
    process: ProcessIdentity


@dataclass(frozen=True)
class StackState:
    """What `up` started.

    Attributes:
        ready: False while `up` still waits for it, and for good where `up` was killed.
        data_dir: The folder with the services' data.
        bootstrap_servers: Kafka's client addresses, empty before the services were started.
        redis_url: Redis' address, empty before the services were started.
        services: The processes, brokers first.
    """

    ready: bool
    data_dir: Path
    bootstrap_servers: str
    redis_url: str
    services: tuple[RecordedService, ...]

    @property
    def n_alive(self) -> int:
        """How many of the recorded processes still run."""
        return sum(service.process.is_alive() for service in self.services)

    @property
    def is_running(self) -> bool:
        """True where the stack got ready and every process still runs."""
        return self.ready and self.n_alive == len(self.services)


def describe(stack: LocalStack, *, ready: bool) -> StackState:
    """Return the state of a stack that `start` is working on, or has finished."""
    if not hasattr(stack, "kafka"):
        return StackState(ready, stack.data_dir, "", "", ())
    addresses = [*stack.bootstrap_servers.split(","), stack.redis_url]
    services = [
        RecordedService(service.name, address, identity)
        for service, address in zip(stack.services, addresses, strict=True)
        if (identity := service.identity()) is not None
    ]
    return StackState(ready, stack.data_dir, stack.bootstrap_servers, stack.redis_url, tuple(services))


class StateStore:
    """The state file in one folder, and the lock that keeps two commands apart.

    Args:
        folder: Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "local-stack.json"

    def lock(self) -> FileLock:
        """Take the lock of this folder at once; use it in a `with` statement.

        Raises:
            StateError: Another command holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "local-stack.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise StateError(
                f"{lock.lock_file} is held: another `up` or `down` is at work; expected one at a "
                "time; wait for it, or give this one another --state-dir"
            ) from error
        return lock

    def load(self) -> StackState | None:
        """Read the state, None where no stack was started.

        Raises:
            StateError: The file is not readable as a state.
        """
        if not self.path.exists():
            return None
        try:
            content = json.loads(self.path.read_text("utf-8"))
            if content["format"] != _FORMAT:
                raise StateError(
                    f"{self.path}: format {content['format']}, expected {_FORMAT}; stop the listed "
                    "processes with the version that started them, then delete the file"
                )
            services = tuple(
                RecordedService(s["name"], s["address"], ProcessIdentity(**s["process"])) for s in content["services"]
            )
            return StackState(
                ready=content["ready"],
                data_dir=Path(content["data_dir"]),
                bootstrap_servers=content["bootstrap_servers"],
                redis_url=content["redis_url"],
                services=services,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{self.path}: {type(error).__name__}: {error}; expected what `up` wrote; "
                "stop its java and redis-server processes by hand, then delete the file"
            ) from error

    def save(self, state: StackState) -> None:
        """Replace the state file as a whole."""
        content = {**asdict(state), "format": _FORMAT, "data_dir": str(state.data_dir)}
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
        beside.replace(self.path)

    def clear(self) -> None:
        """Forget the stack."""
        self.path.unlink(missing_ok=True)


def stop_recorded(state: StackState, *, keep_data: bool) -> None:
    """Stop what still runs of a recorded stack, and remove its data unless it is to stay.

    Raises:
        StateError: A process outlived SIGKILL.
    """
    for service in state.services:
        service.process.send(signal.SIGTERM if keep_data else signal.SIGKILL)
        service.process.send(signal.SIGCONT)  # a paused one wakes up and obeys
    for service in state.services:
        if not service.process.wait_gone(timeout_s=_STOP_GRACE_S):
            service.process.send(signal.SIGKILL)
            if not service.process.wait_gone(timeout_s=_STOP_GRACE_S):
                raise StateError(
                    f"{service.name} (pid {service.process.pid}) outlived SIGKILL; expected it to "
                    f"end; look at it with `ps -p {service.process.pid}` and run `down` again"
                )
    if not keep_data:
        remove_data(state.data_dir)


def default_state_dir() -> Path:
    """Return the folder inside the user's state folder."""
    return Path(user_state_path("verdictstream"))
