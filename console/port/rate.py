"""A rate limit that lets a large request through and then makes its caller wait: a token bucket with debt.

A request is admitted while the bucket holds a conversation, whatever it costs; its cost may leave a debt that the next
request waits for. So a limit below the size of a request slows its caller down and never locks them out.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

_MOST_KEPT: Final = 10_000


class RateLimit:
    """Conversations per second of one caller; not to be shared between threads.

    Args:
        per_s: Conversations per second in the long run.
        burst: Conversations that may come at once after a pause.
        clock: Monotonic seconds.
    """

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._seen_s = clock()

    def wait_s(self) -> int:
        """Return 0 where a request is admitted now, else the whole seconds until one is."""
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._seen_s) * self._per_s)
        self._seen_s = now_s
        missing = min(1.0, self._burst) - self._left
        return 0 if missing <= 0 else math.ceil(missing / self._per_s)

    def spend(self, n_conversations: int) -> None:
        """Take what an admitted request costs."""
        self._left -= n_conversations


class RateLimits:
    """One limit for each name; whoever fills the memory pushes out what was not used for longest.

    Args:
        per_s: Of each, in the long run.
        burst: Of each, at once after a pause.
        clock: Monotonic seconds.
    """

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._kept: OrderedDict[str, RateLimit] = OrderedDict()

    def known(self, name: str) -> RateLimit | None:
        """Return the limit of a name that was asked for before; None of another one."""
        return self._kept.get(name)

    def of(self, name: str) -> RateLimit:
        """Return the limit of a name."""
        limit = self._kept.pop(name, None) or RateLimit(self._per_s, self._burst, self._clock)
        self._kept[name] = limit
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return limit
