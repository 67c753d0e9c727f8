"""Erase chats, in an order in which nothing comes back.

First what needs no search: the list of erased chats, then tombstones under the chats' own ids, of which that in the
input makes the workers forget a chat, and the markers in Redis. Then the topics are read, and what was found under
other keys or in other partitions gets its tombstones, too. Each step may be done again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

from schemas import Source
from schemas.erasure import Erasure, chat_hash, encode_erasure
from schemas.marker import TOMBSTONE
from worker.cache.connection import connect
from worker.cache.entries import marker_entry
from worker.cache.verdict_cache import RedisVerdictCache
from worker.erase.account import Account, CacheAccount, StoreAccount
from worker.erase.search import Place, Stopped, search
from worker.erase.source import check_list_is_kept
from worker.erase.stores import stores_of, wants_tombstones
from worker.errors import Degraded, Fatal
from worker.kafka.client import KafkaAdmin
from worker.kafka.config import consumer_config
from worker.kafka.direct_writer import write_records
from worker.kafka.errors import fatal_while
from worker.kafka.high_watermark import high_watermark
from worker.kafka.murmur2 import partition_of
from worker.kafka.ranges import Since, fix_ranges, missing_topics, partitions_of
from worker.kafka.topic_cleanup import cleanup_of
from worker.kafka.topic_scan import scan
from worker.kafka.written_together import KeyedRecord
from worker.process.metrics import Metrics
from worker.settings.worker import WorkerSettings

_REDIS_TIMEOUT_S: Final = 2.0
"""Nobody's verdict waits for it."""
_KEYS_AT_ONCE: Final = 100


class Eraser:
    """One run.

    Args:
        settings: Where topics and Redis are.
        admin: Admin client.
        chats: Ids of the chats.
        account: What is found and done.
        stopping: Says whether the run must end.
        progressed: Told of so many more records behind the search.
        more_to_read: Told of so many more offsets before it.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        admin: KafkaAdmin,
        chats: Sequence[str],
        account: Account,
        *,
        stopping: Callable[[], bool],
        progressed: Callable[[int], None] = lambda _: None,
        more_to_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._chats = tuple(dict.fromkeys(chats))
        self._account = account
        self._stopping = stopping
        self._progressed = progressed
        self._more_to_read = more_to_read
        self._timeout_s = settings.kafka.request_timeout_s
        self._done: dict[str, set[Place]] = {}
        """By topic, where tombstones were written already."""

    def run(self, *, is_quick: bool) -> None:
        """Erase, or say what there is where the account is of a dry run.

        Args:
            is_quick: Leave the large topics unread that delete by age: their records are not counted, and tombstones
                stand under the bare chat_id alone.

        Raises:
            Fatal: Kafka cannot be worked with, or a topic is missing.
        """
        self._look()
        if not self._account.is_dry_run:
            self._write_what_needs_no_search()
        elif self._account.cache is not None:
            self._mark(self._account.cache, {})
        try:
            for one in self._account.stores:
                if one.missing is None and not (is_quick and self._is_large(one)):
                    self._search(one)
        except Stopped:
            self._account.is_complete = False

    def _look(self) -> None:
        """Note which topics there are and how records leave them.

        Raises:
            Fatal: one is missing without which nothing works, or that the settings name though it is off by default;
                or the list of erased chats would forget them.
        """
        stores = list(stores_of(self._settings.kafka))
        check_list_is_kept(self._settings.kafka, self._admin)
        with fatal_while("asking for the topics"):
            missing = set(missing_topics(self._admin, [one.topic for one in stores], timeout_s=self._timeout_s))
            if lost := [one.topic for one in stores if one.topic in missing and one.is_required]:
                raise Fatal(
                    f"Kafka lacks the topics {', '.join(lost)}, or does not show them to this user; expected all that "
                    "the settings name; check them, and the rights of the role `erase` (deploy/kafka/acls.yaml)"
                )
            for store in stores:
                one = StoreAccount(store)
                if store.topic in missing:
                    one.missing = "not there, or not shown to this user"
                else:
                    one.cleanup = cleanup_of(self._admin, store.topic, timeout_s=self._timeout_s)
                self._account.stores.append(one)

    @staticmethod
    def _is_large(one: StoreAccount) -> bool:
        # A compacted topic must be read, however large: only keys that are found can be taken out.
        return not one.store.is_small and not (one.cleanup is not None and one.cleanup.is_compacted)

    def _write_what_needs_no_search(self) -> None:
        settings = self._settings.kafka
        if settings.erasures_topic is not None:
            # First of all: whatever stops this run, nothing learns from the chats any more.
            listed = [self._listed(settings.erasures_topic, chat_id) for chat_id in self._chats]
            self._account.n_listed = len(write_records(settings, listed))
        by_setting = {one.store.setting: one for one in self._account.stores}
        places = self._own_places(settings.input_topic)
        sources = self._tombstones(by_setting["input_topic"], places.values())
        if (state := by_setting.get("state_topic")) is not None:
            # Of the same partition number as the input. What a worker still writes there of an earlier event, it takes
            # back itself when it reads the tombstone of the input.
            self._tombstones(state, places.values())
        if self._account.cache is not None:
            self._mark(self._account.cache, dict(zip(places, sources, strict=True)))

    def _listed(self, topic: str, chat_id: str) -> KeyedRecord:
        name = chat_hash(chat_id, self._settings.erasure.hash_keys[0])
        erasure = Erasure(chat_hash=name, erased_at=datetime.fromtimestamp(self._account.began_ms / 1_000, UTC))
        return KeyedRecord(topic, name.encode(), encode_erasure(erasure))

    def _own_places(self, topic: str) -> Mapping[str, Place]:
        """Return where murmur2 puts each chat under its bare id."""
        with fatal_while(f"asking for the partitions of {topic}"):
            n_partitions = len(partitions_of(self._admin, [topic], timeout_s=self._timeout_s))
        return {
            chat_id: Place(partition_of(chat_id.encode(), n_partitions), chat_id.encode()) for chat_id in self._chats
        }

    def _tombstones(self, one: StoreAccount, places: Iterable[Place]) -> list[Source]:
        """Write the tombstones of one topic that were not written yet."""
        done = self._done.setdefault(one.store.topic, set())
        due = [place for place in places if place not in done]
        sources = write_records(
            self._settings.kafka, [KeyedRecord(one.store.topic, place.key, None, place.partition) for place in due]
        )
        done.update(due)
        one.n_written += len(due)
        return sources

    def _search(self, one: StoreAccount) -> None:
        with fatal_while(f"fixing the offsets of {one.store.topic}"):
            ranges = fix_ranges(self._admin, Since((one.store.topic,), None), {}, timeout_s=self._timeout_s)
        self._more_to_read(sum(span.n_offsets for span in ranges))
        # Assigned by hand it joins no group; the name is there for the brokers' access lists.
        config = consumer_config(self._settings.kafka) | {"group.id": f"{self._settings.kafka.group_id}.erase"}
        config.pop("group.instance.id", None)
        one.found = search(
            one.store,
            ranges,
            frozenset(self._chats),
            scan=partial(scan, config, timeout_s=self._timeout_s),
            limits=self._settings.codec,
            value_format=self._settings.kafka.value_format,
            stopping=self._stopping,
            progressed=self._progressed,
        )
        if not self._account.is_dry_run and wants_tombstones(one.store, one.cleanup):
            self._tombstones(one, sorted(one.found.places))

    def _mark(self, cache: CacheAccount, tombstones: Mapping[str, Source]) -> None:
        """Put the markers of the tombstones into Redis, as the workers will; they need not be waited for.

        Args:
            cache: What is found and done.
            tombstones: By chat; empty in a dry run.
        """
        redis = RedisVerdictCache(
            connect(self._settings.redis, timeout_s=_REDIS_TIMEOUT_S),
            self._settings.redis,
            Metrics(),
            partial(high_watermark, self._admin),
        )
        try:
            for start in range(0, len(self._chats), _KEYS_AT_ONCE):
                found = redis.sources(self._chats[start : start + _KEYS_AT_ONCE])
                cache.n_found += sum(source is not None for source in found)
        except Degraded as error:
            cache.problem = str(error)
        else:
            entries = [marker_entry(chat_id, source, TOMBSTONE) for chat_id, source in tombstones.items()]
            left = redis.put_many(entries)
            cache.n_marked = len(entries) - len(left)
            if left:
                cache.problem = f"it took {cache.n_marked} of {len(entries)} markers"
        finally:
            redis.close()
