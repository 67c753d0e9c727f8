"""Records whose key does not name their chat: counted, and told now and then.

A chat's records keep their order only where they have one key, and of a tombstone nothing else names the chat.
"""

from typing import Final

import structlog
from prometheus_client import Counter

from schemas import chat_of_key
from worker.process.seldom import Seldom
from worker.record import Record

log = structlog.get_logger()

_TOLD_EVERY_S: Final = 600.0
_REMEDIES: Final = {
    "missing": "send the chat_id as the key: without one a chat's records go to any partition and lose their order, "
    "and its tombstones and unreadable records leave its verdict in the cache",
    "unreadable": "send the chat_id as UTF-8 text, as a JSON string or in an object with chat_id: a tombstone under "
    "this key leaves its chat's verdict in the cache",
    "other": "send the chat_id as the key: it names another chat than the value does, and a tombstone under it leaves "
    "this chat's verdict in the cache",
}


class KeyCheck:
    """What is wrong with keys, for the metric and for people. For one thread.

    Args:
        counter: With the label `problem`.
        seldom: When a warning is due.
    """

    def __init__(self, counter: Counter, seldom: Seldom | None = None) -> None:
        self._counter = counter
        self._seldom = seldom or Seldom(_TOLD_EVERY_S)

    def __call__(self, record: Record, chat_id: str | None) -> None:
        """Take a record whose key is not just the text of its chat_id.

        Args:
            record: The record.
            chat_id: What its value names; None where it names none.
        """
        problem = key_problem(record.key, chat_id)
        if problem is None:
            return
        self._counter.labels(problem=problem).inc()
        if self._seldom.due(problem):
            log.warning(
                "record_key_unusable",
                problem=problem,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                remedy=_REMEDIES[problem],
            )


def key_problem(key: bytes | None, chat_id: str | None) -> str | None:
    """Return what is wrong with a key; None where it names the chat that the value names, or any where that names none.

    Args:
        key: Of a record.
        chat_id: What its value names.
    """
    if key is None:
        return "missing"
    named = chat_of_key(key)
    if named is None:
        return "unreadable"
    return None if chat_id in {named, None} else "other"
