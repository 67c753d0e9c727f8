"""What follows the pipeline, put together: worker's settings, database, and the threads that work beside the port."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from console.errors import SettingsError
from console.gauges import Gauges
from console.intake.intake import Intake
from console.intake.state import Doing
from console.metrics import Metrics
from console.outbox.assembly import Outbox, open_outbox
from console.pipeline.behind import Behind
from console.pipeline.history import Histories
from console.pipeline.live.follower import Live
from console.pipeline.states import Check, KafkaCheck, RedisCheck, States
from console.pipeline.text import Texts
from console.review.appealing import on_reopened, on_settled
from console.review.hooks import Hooks
from console.review.queue import Queue
from console.settings.console import ConsoleSettings
from console.store.store import Store, StoreAway, open_store
from schemas.erasure import chat_hash
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
    intake: Intake | None = None
    """What reads the topics into the database; None in tests that put rows there themselves."""
    at_start: list[Callable[[], None]] = field(default_factory=list)
    """Called once the port listens: starts threads."""
    at_end: list[Callable[[], None]] = field(default_factory=list)
    """Called at the end, the last first: each ends a thread and waits for it."""
    live: Live | None = None
    """What passes now; None in tests that show nothing of it, as the four below."""
    states: States | None = None
    """Whether Kafka, Redis and the database answer, and whether records reach the database."""
    texts: Texts | None = None
    """The texts of chats."""
    histories: Histories | None = None
    """What the topics say of a chat."""
    queue: Queue | None = None
    """The review queue."""
    outbox: Outbox | None = None
    """Sends what the database holds for the topics; None in tests that send nothing."""

    def hash_of(self, chat_id: str) -> str | None:
        """Return the keyed hash by which the database names a chat; None without a key."""
        keys = self.worker.erasure.hash_keys
        return chat_hash(chat_id, keys[0]) if keys else None

    def start(self) -> None:
        """Start what works beside the port."""
        for begin in self.at_start:
            begin()

    def close(self) -> None:
        """End it in order, then close the database."""
        for end in reversed(self.at_end):
            end()
        self.store.close()


def open_operations(settings: ConsoleSettings, environment: Mapping[str, str], metrics: Metrics) -> Operations | None:
    """Open what follows the pipeline; nothing is started. None where no pipeline is to be followed.

    Args:
        settings: The console's.
        environment: Holds the worker's MODERATION_ variables.
        metrics: The console's.

    Raises:
        SettingsError: the worker's settings are refused, or the database does not answer.
    """
    if not settings.pipeline.is_on:
        return None
    worker = worker_settings(settings, environment)
    try:
        store = open_store(settings.store.url.get_secret_value())
    except StoreAway as error:
        raise SettingsError(
            f"store.url: the database does not answer ({error}); expected it at the start; check address and rights"
        ) from None
    keys = worker.erasure.hash_keys
    hooks = Hooks(on_settled=on_settled, on_reopened=on_reopened)
    queue = Queue(store, settings.review, keys[0] if keys else None, hooks=hooks)
    gauges = Gauges(store, Behind(worker), metrics, answer_within_s=settings.review.answer_within_s)
    outbox = open_outbox(store, worker, settings.appeals, metrics)
    intake = Intake(store, settings, worker)
    starts = [gauges.start, outbox.start, intake.start]
    ends = [gauges.close, outbox.close, intake.close]
    return with_views(Operations(settings, worker, store, intake, starts, ends, queue=queue, outbox=outbox))


def with_views(operations: Operations) -> Operations:
    """Return operations with what shows the pipeline; their threads start and end with the operations.

    Without pages there is nobody to show it to, and no need for the right to read chats.
    """
    settings, worker, store = operations.settings, operations.worker, operations.store
    if settings.api_only:
        return operations
    live = Live(worker, settings.pipeline.live_minutes)
    states = States(_checks(worker, store, operations.intake))
    texts = Texts(worker)
    histories = Histories(worker, [settings.model.path])
    operations.at_start.extend([live.start, states.start])
    operations.at_end.extend([texts.close, states.close, live.close, histories.close])
    return replace(operations, live=live, states=states, texts=texts, histories=histories)


def _checks(worker: WorkerSettings, store: Store, intake: Intake | None) -> dict[str, Check]:
    checks: dict[str, Check] = {"kafka": KafkaCheck(worker.kafka)}
    if worker.redis.url is not None:
        checks["redis"] = RedisCheck(worker.redis)
    checks["database"] = lambda: _asked(store)
    if intake is not None:
        checks["intake"] = lambda: _why_unread(intake)
    return checks


def _why_unread(intake: Intake) -> str | None:
    """Return why no records reach the database, though the services may answer; None where they do, or soon will."""
    state = intake.state
    if state.is_well or state.doing is Doing.STARTING:
        return None
    return state.detail or "its thread has ended; the log says why"


def _asked(store: Store) -> str | None:
    try:
        with store.reading() as connection:
            connection.exec_driver_sql("SELECT 1")
    except StoreAway as away:
        return f"the database does not answer ({away})"
    return None if store.write_error is None else f"the database takes no changes ({store.write_error})"


def worker_settings(settings: ConsoleSettings, environment: Mapping[str, str]) -> WorkerSettings:
    """Return where the pipeline is.

    Raises:
        SettingsError: the worker's settings are refused.
    """
    try:
        return usable_settings(environment, settings.pipeline.worker_config)
    except WorkerSettingsError as error:
        # Its file is not the one of the console's own --config.
        text = str(error).replace("the file of --config", "the file of CONSOLE_PIPELINE__WORKER_CONFIG")
        raise SettingsError(f"the pipeline's: {text}") from None
