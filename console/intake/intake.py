"""The thread that reads the pipeline's topics into the database: one console at a time, from the database's offsets.

Whatever goes wrong, it begins anew at the offsets that the database has: nothing is lost, and nothing is doubled.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError

from console.intake.policies import PolicyCodes, open_policy_codes
from console.intake.session import Session
from console.intake.state import Doing, IntakeState
from console.intake.topics import topics_of
from console.pipeline.errors import told
from console.settings.console import ConsoleSettings
from console.store.erasing import HashesOf, name_anew
from console.store.leases import give_back, holder_of, take
from console.store.offsets import OffsetMoved
from console.store.store import Store, StoreAway, StoreRefused, now_ms
from schemas.erasure import chat_hash
from worker.errors import Degraded, Fatal
from worker.kafka.places_follower import PlacesFollower, open_places_follower
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

LEASE: Final = "intake"
_LEASE_S: Final = 15.0
_PAUSE_S: Final = 1.0
_CLOSE_S: Final = 15.0
_NAME: Final = "console"


class Intake:
    """Reads the topics.

    Args:
        store: The database.
        settings: The console's.
        worker: Where Kafka is, and what the topics are called.
        lease_s: How long the reading stays this console's without a sign of life.
        pause_s: Between two tries.
        open_follower: Opens what reads topics.
        open_policies: Opens what knows policies.
    """

    def __init__(
        self,
        store: Store,
        settings: ConsoleSettings,
        worker: WorkerSettings,
        *,
        lease_s: float = _LEASE_S,
        pause_s: float = _PAUSE_S,
        open_follower: Callable[[], PlacesFollower] | None = None,
        open_policies: Callable[[], PolicyCodes] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._kafka = worker.kafka
        self._hashes_of = _hashes_of(worker.erasure.hash_keys)
        self._lease_ms = round(lease_s * 1_000)
        self._pause_s = pause_s
        self._open_follower = open_follower or (lambda: open_places_follower(worker.kafka, _NAME))
        self._open_policies = open_policies or (lambda: open_policy_codes(worker.kafka))
        self._are_named = False
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        self.holder: Final = f"{socket.gethostname()[:40]}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        """The name of this console at its lease."""
        self.state = IntakeState(Doing.STARTING, now_ms())
        """Replaced as a whole; any thread may look at it."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End after the batch in hand, and let another console read at once.

        One that hangs in a broker's or the database's silence is left behind: its lease ends by itself.
        """
        self._ending.set()
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        try:
            while not self._ending.is_set():
                self._try()
                self._ending.wait(self._pause_s)
            with suppress(StoreAway), self._store.writing() as connection:
                give_back(connection, LEASE, self.holder)
        finally:
            self._say(Doing.ENDED)

    def _try(self) -> None:
        """Read until something stands in the way."""
        try:
            if self._is_ours():
                self._name_chats()
                with closing(self._open_follower()) as follower, closing(self._open_policies()) as policies:
                    self._read(follower, policies)
        except (StoreAway, StoreRefused) as error:
            self._say(Doing.DATABASE_AWAY, str(error))
        except (Degraded, Fatal) as error:
            self._say(Doing.KAFKA_AWAY, told(str(error)))
        except (OffsetMoved, IntegrityError) as error:
            # Another console reads: it took the lease while this one hung. What this one had read is not written.
            log.warning("intake_overtaken", error=type(error).__name__)

    def _is_ours(self) -> bool:
        with self._store.writing() as connection:
            if take(connection, LEASE, self.holder, for_ms=self._lease_ms):
                return True
            holder = holder_of(connection, LEASE)
        self._say(Doing.STANDING_BY, holder or "")
        return False

    def _name_chats(self) -> None:
        """Once in a process: the key may have been exchanged before its start."""
        if self._are_named:
            return
        with self._store.writing() as connection:
            n_renamed = name_anew(connection, self._hashes_of)
        self._are_named = True
        if n_renamed:
            log.info("chats_named_anew", n_chats=n_renamed)

    def _read(self, follower: PlacesFollower, policies: PolicyCodes) -> None:
        session = Session(
            self._store,
            follower,
            policies,
            topics=topics_of(self._kafka, reads_letters=not self._settings.api_only),
            settings=self._settings,
            hashes_of=self._hashes_of,
            lease=(LEASE, self.holder, self._lease_ms),
        )
        session.begin(now_ms())
        self._say(Doing.FOLLOWING)
        while not self._ending.is_set() and session.step(now_ms()):
            if follower.is_doubtful and not follower.probe():
                self._say(Doing.KAFKA_AWAY, "no broker answers")
            else:
                self._say(Doing.FOLLOWING)
            self.state = replace(self.state, read_ms=session.read_ms, lag_records=follower.lag_records())

    def _say(self, doing: Doing, detail: str = "") -> None:
        if doing is self.state.doing:
            self.state = replace(self.state, detail=detail)
            return
        is_worse = doing in {Doing.KAFKA_AWAY, Doing.DATABASE_AWAY}
        (log.warning if is_worse else log.info)("intake", doing=doing.value, was=self.state.doing.value, detail=detail)
        self.state = IntakeState(doing, now_ms(), detail, read_ms=self.state.read_ms)


def _hashes_of(keys: tuple[bytes, ...]) -> HashesOf:
    return lambda chat_id: [chat_hash(chat_id, key) for key in keys]
