"""The overrides topic as the console has it: what stands on it, followed, and the records of a decision.

Invariant: what a decision is written as depends on its row alone once a revision was given, so that each try is the
same record.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from pydantic import ValidationError

from console.pipeline.errors import PipelineAway
from console.pipeline.writer import RecordRefused
from schemas import DecidedBy, Decision, Override, OverrideScope, Source, Verdict, decode_override
from schemas.override import OverrideRefused
from worker.errors import Fatal, SettingsError
from worker.kafka.probe import open_admin
from worker.kafka.topic_follower import TopicFollower, open_follower
from worker.kafka.topic_scan import ScannedRecord
from worker.kafka.written_together import KeyedRecord
from worker.overrides.applying import is_in_force
from worker.overrides.records import (
    DecisionTopics,
    decision_topics,
    id_of_clear,
    records_of_clear,
    records_of_set,
)
from worker.overrides.wish import (
    RevisionForged,
    Wish,
    next_revision,
    not_lifted_by,
    outweighed_text,
    outweighing,
    override_of,
    wish_of,
)
from worker.settings.worker import WorkerSettings

_READER: Final = "override"
"""Goes behind the group id, as the command's does; no group is joined."""
_TAKE_BACK: Final = "; take it back first: DELETE /v1/overrides"


class Seen(NamedTuple):
    """The verdict that was looked at."""

    chat_id: str
    verdict_id: str
    content_fingerprint: str
    source: Source
    override_revision: int


class Decided(NamedTuple):
    """What a person decided."""

    seen: Seen
    decision: Decision
    policy: str
    whole_chat: bool
    lasts: timedelta | None
    actor: str
    reason: str
    at: datetime

    @property
    def wish(self) -> Wish:
        """It as the worker's own command says it."""
        return wish_of(
            self.decision,
            policy=self.policy,
            whole_chat=self.whole_chat,
            lasts=self.lasts,
            actor=self.actor,
            reason=self.reason,
            decided_at=self.at,
        )


class Cleared(NamedTuple):
    """What a person takes back."""

    chat_id: str
    policy: str | None
    """None: of every policy."""
    whole_chat: bool | None
    """Of which scope; None: of both."""
    revision: int | None
    """Only the override of this revision; None: any."""
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Planned:
    """A decision as it is to be written."""

    records: Sequence[KeyedRecord]
    """Empty: nothing is left to write."""
    changes: Sequence[tuple[Override, bool]]
    """Overrides, with whether each stands from now on."""
    revision: int | None = None
    note: str | None = None
    """Why nothing is written, where something could be expected."""


class OverrideTopic:
    """Follows the topic and plans what is written to it. One thread calls all but `of_chat` and `is_known`.

    Args:
        settings: The worker's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._follower: TopicFollower | None = None
        self._by_key: dict[bytes, Override] = {}
        self._by_chat: dict[str, tuple[Override, ...]] = {}
        self._own: dict[bytes, deque[int | None]] = {}
        """By key: what was written here and not read back yet, revisions or None of tombstones, in order."""
        self._topics: DecisionTopics | None = None

    @property
    def is_known(self) -> bool:
        """Whether the topic was read whole, so that what `of_chat` gives is what stands."""
        return self._topics is not None

    def of_chat(self, chat_id: str) -> tuple[Override, ...]:
        """Return what stands on a chat, expired or not."""
        return self._by_chat.get(chat_id, ())

    def follow(self) -> None:
        """Read what is new on the topic; the first call reads it whole.

        Raises:
            PipelineAway: Kafka does not answer, or lacks the topic.
            RecordRefused: the settings name no such topic, or no audit log.
        """
        try:
            if self._follower is None:
                self._open()
            else:
                self._take(self._follower.arrived())
        except Fatal as error:
            self.close()
            raise PipelineAway(str(error)) from error
        except SettingsError as error:
            raise RecordRefused(str(error)) from error

    def _open(self) -> None:
        # Before anything is connected: settings that are missing are no fault of the brokers.
        name = decision_topics(self._settings, 1).overrides
        # Says in words why the brokers do not answer.
        open_admin(self._settings.kafka)
        follower = open_follower(self._settings.kafka, name, _READER)
        self._follower, self._topics = follower, None
        self._by_key.clear()
        self._by_chat.clear()
        self._own.clear()
        for records in follower.read_whole():
            self._take(records)
        self._topics = decision_topics(self._settings, follower.n_partitions)

    def _take(self, records: Sequence[ScannedRecord]) -> None:
        keys, now = self._settings.overrides.signing_keys, datetime.now(UTC)
        for record in records:
            if record.key is None:
                continue
            try:
                found = None if record.value is None else decode_override(record.key, record.value, keys, now=now)
            except OverrideRefused:
                # Workers leave it alone, too, and raise the alarm.
                continue
            if self._is_behind(record.key, found):
                continue
            if found is None:
                self._forget(record.key)
            else:
                self._put(found)

    def _is_behind(self, key: bytes, found: Override | None) -> bool:
        """Say whether a record lies before one that was written here: what it says is known to be over."""
        if (own := self._own.get(key)) is None:
            return False
        if own[0] == (None if found is None else found.revision):
            own.popleft()
        if own:
            return True
        del self._own[key]
        return False

    def plan(self, decided: Decided, decision_id: str, kept_revision: int | None, now: datetime) -> Planned:
        """Return what puts a decision in force; `follow` was called before.

        Args:
            decided: The decision.
            decision_id: Of its row.
            kept_revision: What an earlier try was written under; None: this is the first.
            now: The clock.

        Raises:
            RecordRefused: it would count for nothing, or its values do not fit.
        """
        standing = self.of_chat(decided.seen.chat_id)
        wish = decided.wish
        if kept_revision is None and (stricter := outweighing(wish, standing, now)) is not None:
            raise RecordRefused(outweighed_text(stricter) + _TAKE_BACK)
        try:
            revision = kept_revision or next_revision(now, standing, decided.seen.override_revision)
            override = override_of(decided.seen, wish, revision, decided.at)
        except RevisionForged as error:
            raise RecordRefused(str(error)) from error
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, fault["loc"])) or "expires_at" for fault in error.errors())
            raise RecordRefused(
                f"{fields}: not what an override may hold; expected what docs/overrides.md says"
            ) from None
        there = self._by_key.get(override.key)
        if kept_revision is not None and there is not None and there.revision > kept_revision:
            return Planned((), (), kept_revision, "a later decision stands in its place")
        return Planned(records_of_set(override, decision_id, self._known()), ((override, True),), revision)

    def plan_clear(self, cleared: Cleared, decision_id: str) -> Planned:
        """Return what takes overrides back, in one transaction; nothing where none stands any more."""
        found = [one for one in self.of_chat(cleared.chat_id) if _is_meant(one, cleared)]
        records: list[KeyedRecord] = []
        for one in found:
            record_id = decision_id if len(found) == 1 else id_of_clear(decision_id, one)
            records += records_of_clear(
                one, record_id, self._known(), actor=cleared.actor, reason=cleared.reason, cleared_at=cleared.at
            )
        note = None if found else "nothing stood any more"
        return Planned(records, [(one, False) for one in found], note=note)

    def written(self, planned: Planned) -> None:
        """Take that a plan was written, before the follower reads it."""
        for override, stands in planned.changes:
            self._own.setdefault(override.key, deque()).append(override.revision if stands else None)
            if stands:
                self._put(override)
            else:
                self._forget(override.key)

    def close(self) -> None:
        """Release the connection; what stood is kept for those who ask, until the topic is read again."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()

    def _known(self) -> DecisionTopics:
        if self._topics is None:
            raise PipelineAway("the overrides topic was not read yet")
        return self._topics

    def _put(self, override: Override) -> None:
        self._forget(override.key)
        self._by_key[override.key] = override
        self._by_chat[override.chat_id] = (*self.of_chat(override.chat_id), override)

    def _forget(self, key: bytes) -> None:
        if (old := self._by_key.pop(key, None)) is None:
            return
        # A new tuple each time: another thread may be reading the old one.
        if left := tuple(one for one in self.of_chat(old.chat_id) if one is not old):
            self._by_chat[old.chat_id] = left
        else:
            self._by_chat.pop(old.chat_id, None)


def refusal_of(decided: Decided, standing: Sequence[Override], now: datetime) -> str | None:
    """Return why a decision would count for nothing beside what stands; None where it counts."""
    wish = decided.wish
    stricter = outweighing(wish, standing, now)
    return None if stricter is None else outweighed_text(stricter) + _TAKE_BACK


def in_force(standing: Sequence[Override], now: datetime) -> list[Override]:
    """Return those that have not expired, the newest first."""
    return sorted((one for one in standing if is_in_force(one, now)), key=lambda one: -one.revision)


def not_lifted(verdict: Verdict, decision: Decision, policy: str) -> list[DecidedBy]:
    """Return floor and deny list where one of them blocks the chat whatever a person allows."""
    return not_lifted_by(decision, policy, verdict.decisions)


def _is_meant(override: Override, cleared: Cleared) -> bool:
    scope = {None: override.scope, True: OverrideScope.CHAT, False: OverrideScope.FINGERPRINT}[cleared.whole_chat]
    is_policy = cleared.policy in {None, override.policy}
    return is_policy and override.scope is scope and cleared.revision in {None, override.revision}
