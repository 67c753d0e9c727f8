"""Time a model that runs in this process: one chat at a time, and in calls of many, as a busy worker makes them."""

import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from schemas import Turn
from training_pipeline.report.document import Speed

CHATS_PER_CALL: Final = 160
"""About what a worker that lags behind takes at once (a second's worth, `worker.settings.batch`)."""

_MAX_BATCHED_CHATS: Final = 480

Answer = Callable[[Sequence[Sequence[Turn]]], object]


def time_answers(
    answer: Answer, conversations: Sequence[Sequence[Turn]], *, n_timed: int, n_threads: int, detail: str
) -> Speed | None:
    """Time calls on the monotonic clock.

    Args:
        answer: Answers conversations; warm.
        conversations: Chats in the order of the data.
        n_timed: Chats to time one at a time, spread over the data; 0 times nothing.
        n_threads: Inference threads, for the record.
        detail: What a call includes.
    """
    if n_timed == 0:
        return None
    chosen = _spread(conversations, n_timed)
    times_ms = []
    for turns in chosen:
        started = time.perf_counter()
        answer([turns])
        times_ms.append((time.perf_counter() - started) * 1000)
    many = _spread(conversations, _MAX_BATCHED_CHATS)
    started = time.perf_counter()
    for start in range(0, len(many), CHATS_PER_CALL):
        answer(many[start : start + CHATS_PER_CALL])
    batched_s = time.perf_counter() - started
    p50_ms, p95_ms = np.percentile(times_ms, [50, 95])
    return Speed(
        p50_ms=round(float(p50_ms), 2),
        p95_ms=round(float(p95_ms), 2),
        n_timed=len(chosen),
        chats_per_s=round(len(many) / batched_s, 1),
        n_chats_per_call=min(CHATS_PER_CALL, len(many)),
        n_threads=n_threads,
        detail=detail,
    )


def _spread(conversations: Sequence[Sequence[Turn]], n_wanted: int) -> list[Sequence[Turn]]:
    """Return so many of them, evenly spread, so that a file sorted by category is no bias."""
    index = np.linspace(0, len(conversations) - 1, min(n_wanted, len(conversations))).astype(np.int64)
    return [conversations[i] for i in index]
