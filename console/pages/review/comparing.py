"""Read texts that wait and nobody has read, so that a filter by nearness finds them; nobody is shown one of them."""

import asyncio
from functools import partial
from typing import Final

from console.pages.review.desk import Desk, Person, in_thread
from console.pipeline.errors import PipelineAway
from console.pipeline.text import text_of
from console.review.item import BulkFilter

_MOST: Final = 500
_WITHIN_S: Final = 5.0
"""The person waits for the preview."""


async def compare_waiting(desk: Desk, person: Person, wanted: BulkFilter) -> int:
    """Read texts that match a filter but for nearness, the newest first, for 5 s at most; keep their signatures.

    Returns:
        How many items are left uncompared: their texts are gone or empty, or there was no time.

    Raises:
        Problem: the filter is refused, or the database is away.
    """
    found = await in_thread(lambda: desk.queue.uncompared(wanted, person.name, most=_MOST, queues=person.queues))
    n_left = found.n
    if desk.texts is None:
        return n_left
    try:
        async with asyncio.timeout(_WITHIN_S):
            for item in found.newest:
                if item.text_at is None:
                    continue
                text = await text_of(desk.texts, *item.text_at)
                if text is not None and text.fingerprint == item.fingerprint:
                    keep = partial(desk.queue.remember_text, item, text.turns, text.fingerprint)
                    n_left -= await in_thread(keep)
    except (TimeoutError, PipelineAway):
        # What was not read now is read when the person asks again.
        return n_left
    return n_left
