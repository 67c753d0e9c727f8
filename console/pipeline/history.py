"""What the topics say of one chat, as `worker explain` tells it: the newest hour first, and for a bounded time."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from console.pipeline.errors import PipelineAway, cause_for, told
from console.port.roles import Role
from worker.errors import Fatal
from worker.explain.document import document, moment
from worker.explain.explained import explained as explanation_of
from worker.explain.judges import Judges
from worker.explain.look import ChatSearch, Stopped, TopicLook, scan_of, topic_looks
from worker.explain.outcomes import ChatHistory
from worker.kafka.client import KafkaAdmin
from worker.kafka.probe import open_admin
from worker.overrides.applying import is_in_force
from worker.overrides.store import OverrideStore
from worker.settings.worker import WorkerSettings

WITHIN_S: Final = 20.0
"""How long a search goes on unless somebody asks for more."""
_STEP_S: Final = 5.0
"""Longest wait for one answer of the brokers."""
_BACK_MS: Final = (3_600_000, 86_400_000)
"""Where the first parts of the search begin, before now; the last one begins where the topics do."""
_UNREAD: Final = "the overrides cannot be read"
_BUNDLES_S: Final = 60.0
"""How long it is remembered which bundles and policies are at hand."""


class Histories:
    """Tells of chats. Safe in threads; each search has a connection of its own.

    Args:
        settings: The worker's: topics, bundle and policies.
        bundles: Bundles, or registries, that may have decided besides.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        bundles: Sequence[Path] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        kafka = settings.kafka
        patient = kafka.model_copy(update={"request_timeout_s": min(kafka.request_timeout_s, _STEP_S)})
        self._settings = settings.model_copy(update={"kafka": patient})
        self._bundles = bundles
        self._clock = clock
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._judges: tuple[float, Judges] | None = None

    def of(self, chat_id: str, *, limit: int, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Return what the topics say of a chat.

        Args:
            chat_id: The chat.
            limit: Newest outcomes that are kept.
            within_s: When to stop: what was found by then is returned, and `complete` is false.

        Returns:
            The document of `worker explain --json`, and `overrides`: those that stand, null where that is not known
            (`overrides_unknown` says that, and `overrides_fault` what the brokers said: see `shown_to`);
            `looked_back_to`: up to which time everything was read (null: all that there is, or not even the newest
            hour, as `complete` says); and `took_s`.

        Raises:
            PipelineAway: the brokers do not answer, or refuse.
        """
        started = self._clock()
        history = ChatHistory(limit=limit)
        try:
            admin = open_admin(self._settings.kafka)
            looks, back_to_ms, is_complete = self._search(
                admin, chat_id, history, stopping=lambda: self._closing.is_set() or self._clock() - started > within_s
            )
        except Fatal as error:
            raise PipelineAway(str(error)) from error
        with self._lock:
            judges = self._at_hand()
            explanations = {
                one.place: explanation_of(one.verdict, judges) for one in history.outcomes() if one.verdict is not None
            }
        found = document(chat_id, None, history, explanations, looks, is_complete=is_complete)
        return found | {
            **self._overrides(admin, chat_id),
            "looked_back_to": None if back_to_ms is None else moment(back_to_ms),
            "took_s": round(self._clock() - started, 1),
        }

    def close(self) -> None:
        """Stop the searches in hand within a fraction of a second."""
        self._closing.set()

    def _search(
        self, admin: KafkaAdmin, chat_id: str, history: ChatHistory, *, stopping: Callable[[], bool]
    ) -> tuple[list[TopicLook], int | None, bool]:
        """Look through the topics from their ends backwards; return what was read, up to when, and whether it is all.

        Parts follow one another by offsets, so that none is read twice and none is left out.
        """
        kafka = self._settings.kafka
        search = ChatSearch(chat_id, self._settings, history, scan=scan_of(kafka), stopping=stopping)
        now_ms = time.time_ns() // 1_000_000
        done: list[TopicLook] = []
        until_ms, reached_ms = None, None
        for since_ms in (*(now_ms - back for back in _BACK_MS), None):
            looks = topic_looks(admin, kafka, chat_id, since_ms=since_ms, until_ms=until_ms)
            done += looks
            try:
                search.run(looks)
            except Stopped:
                return done, reached_ms, False
            until_ms = reached_ms = since_ms
        return done, None, True

    def _overrides(self, admin: KafkaAdmin, chat_id: str) -> dict[str, Any]:
        if self._settings.kafka.overrides_topic is None:
            return {"overrides": None, "overrides_unknown": "the pipeline has no topic of overrides"}
        now = datetime.now(UTC)
        try:
            standing = OverrideStore(self._settings, admin).of_chat(chat_id)
        except Fatal as error:
            # The verdicts are worth showing without.
            return {"overrides": None, "overrides_unknown": _UNREAD, "overrides_fault": told(str(error))}
        in_force = [one.model_dump(mode="json", exclude={"signature"}) for one in standing if is_in_force(one, now)]
        return {"overrides": in_force, "overrides_unknown": None}

    def _at_hand(self) -> Judges:
        if self._judges is None or self._clock() - self._judges[0] > _BUNDLES_S:
            model = self._settings.model
            judges = Judges(
                [model.path, *self._bundles],
                [] if model.policy_path is None else [model.policy_path],
                folder=model.policies_dir,
                floor=model.floor_codes,
            )
            self._judges = (self._clock(), judges)
        return self._judges[1]


def shown_to(role: Role, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a chat as a role may read it: what the brokers said is for admins."""
    document = dict(found)
    fault = document.pop("overrides_fault", None)
    return document if fault is None else document | {"overrides_unknown": cause_for(role, fault, _UNREAD)}


def explained(settings: WorkerSettings, chat_id: str, limit: int) -> dict[str, Any]:
    """Return what the topics say of a chat, once; see `Histories.of`.

    Raises:
        PipelineAway: the brokers do not answer, or refuse.
    """
    return Histories(settings).of(chat_id, limit=limit)
