"""What follows the pipeline, put together: worker's settings, database, and the threads that work beside the port."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from console.errors import SettingsError
from console.pipeline.text import Texts
from console.review.queue import Queue
from console.settings.console import ConsoleSettings
from console.store.store import Store, StoreAway, open_store
from worker.errors import SettingsError as WorkerSettingsError
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings


@dataclass(frozen=True)
class Operations:
    """What pages and routes of the pipeline share."""

    settings: ConsoleSettings
    worker: WorkerSettings
    """Where Kafka and Redis are, and what the topics are called."""
    store: Store
    at_start: list[Callable[[], None]] = field(default_factory=list)
    """Called once the port listens: starts threads."""
    at_end: list[Callable[[], None]] = field(default_factory=list)
    """Called at the end, the last first: each ends a thread and waits for it."""
    texts: Texts | None = None
    """The texts of chats."""
    queue: Queue | None = None
    """The review queue."""

    def start(self) -> None:
        """Start what works beside the port."""
        for begin in self.at_start:
            begin()

    def close(self) -> None:
        """End it in order, then close the database."""
        for end in reversed(self.at_end):
            end()
        self.store.close()


def open_operations(settings: ConsoleSettings, environment: Mapping[str, str]) -> Operations | None:
    """Open what follows the pipeline; nothing is started. None where no pipeline is to be followed.

    Args:
        settings: The console's.
        environment: Holds the worker's MODERATION_ variables.

    Raises:
        SettingsError: the worker's settings are refused, or the database does not answer.
    """
    if not settings.pipeline.is_on:
        return None
    try:
        worker = usable_settings(environment, settings.pipeline.worker_config)
    except WorkerSettingsError as error:
        raise SettingsError(f"the pipeline's: {error}") from None
    try:
        store = open_store(settings.store.url.get_secret_value())
    except StoreAway as error:
        raise SettingsError(
            f"store.url: the database does not answer ({error}); expected it at the start; check address and rights"
        ) from None
    keys = worker.erasure.hash_keys
    queue = Queue(store, settings.review, keys[0] if keys else None)
    return Operations(settings, worker, store, queue=queue)
