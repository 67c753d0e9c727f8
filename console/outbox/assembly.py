"""Put together what sends: two threads over one database."""

import secrets
from dataclasses import dataclass
from typing import Final

from console.errors import SettingsError
from console.metrics import Metrics
from console.outbox.decisions import DecisionSender
from console.outbox.holding import Holding
from console.outbox.state import SendingState
from console.outbox.target import Hosts
from console.outbox.thread import TurnThread
from console.outbox.webhooks import WebhookSender
from console.pipeline.errors import PipelineAway
from console.pipeline.overrides import OverrideTopic
from console.pipeline.writer import PipelineWriter
from console.settings.operations import AppealSettings
from console.store.outbox_rows import OUTBOX
from console.store.store import Store
from schemas import Override
from worker.settings.worker import WorkerSettings

_SHORTEST_KEY: Final = 16


@dataclass(frozen=True)
class Outbox:
    """What routes and pages see of it."""

    overrides: OverrideTopic
    """What stands on the overrides topic."""
    state: SendingState
    hosts: Hosts
    """Where answers on appeals may be sent."""
    threads: tuple[TurnThread, ...] = ()

    def standing(self, chat_id: str) -> tuple[Override, ...]:
        """Return what stands on a chat, expired or not.

        Raises:
            PipelineAway: the topic was not read yet.
        """
        if not self.overrides.is_known:
            raise PipelineAway("the overrides topic was not read yet")
        return self.overrides.of_chat(chat_id)

    def start(self) -> None:
        """Begin to send."""
        for thread in self.threads:
            thread.start()

    def wake(self) -> None:
        """Have what was just committed be sent at once."""
        for thread in self.threads:
            thread.wake()

    def close(self) -> None:
        """End after what is in hand; what is left is sent by the next console."""
        for thread in self.threads:
            thread.close()


def open_outbox(store: Store, worker: WorkerSettings, appeals: AppealSettings, metrics: Metrics) -> Outbox:
    """Put the outbox together; nothing is started, and nothing is connected.

    Args:
        store: The database.
        worker: Where Kafka is.
        appeals: Where answers on appeals may go.
        metrics: The console's.

    Raises:
        SettingsError: the key that signs answers is short.
    """
    holder = secrets.token_hex(8)
    state = SendingState(metrics)
    topic = OverrideTopic(worker)
    hosts = Hosts.of(appeals.webhook_hosts, appeals.private_hosts)
    decisions = DecisionSender(
        store,
        worker,
        topic=topic,
        writer=PipelineWriter(worker),
        holding=Holding(store, "outbox", holder),
        state=state,
    )
    webhooks = WebhookSender(
        store, hosts, signing_key(appeals), holding=Holding(store, "webhooks", holder, for_ms=60_000), state=state
    )
    threads = (
        TurnThread("outbox", decisions.turn, decisions.end),
        TurnThread("webhooks", webhooks.turn, webhooks.end),
    )
    outbox = Outbox(topic, state, hosts, threads)
    store.listen(OUTBOX, outbox.wake)
    return outbox


def signing_key(appeals: AppealSettings) -> bytes | None:
    """Return the key that signs answers; None where none is set.

    Raises:
        SettingsError: it is short.
    """
    if appeals.signing_key is None:
        return None
    text = appeals.signing_key.get_secret_value()
    if len(text) < _SHORTEST_KEY:
        raise SettingsError(
            f"appeals.signing_key has {len(text)} characters; expected at least {_SHORTEST_KEY}; `openssl rand -hex 32`"
        )
    return text.encode()
