"""Calls of Redis behind circuit breakers: one for reads, one for writes.

Invariant: neither breaker closes the other. A replica after a failover, or a full Redis, answers every read and refuses
every write; with one breaker its reads would hide that.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

import pybreaker
import redis
import structlog

from worker.cache.errors import acl_rules, remedy
from worker.errors import Degraded
from worker.process.metrics import Metrics
from worker.settings.redis import RedisSettings

log = structlog.get_logger()

Op = Literal["get", "put"]
OPS: Final[tuple[Op, ...]] = ("get", "put")


class CacheHealth:
    """Shows what Redis does for the worker: `cache_up` is 1 only while it does both.

    Args:
        metrics: Where it is shown.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._does: dict[Op, bool] = {}
        for op in OPS:
            self.note(op, does=True)

    def note(self, op: Op, *, does: bool) -> None:
        """Take that calls of this kind succeed, or do not."""
        self._does[op] = does
        self._metrics.cache_breaker_open.labels(op=op).set(not does)
        self._metrics.cache_up.set(all(self._does.values()))


class _Listener(pybreaker.CircuitBreakerListener):
    def __init__(self, op: Op, health: CacheHealth) -> None:
        self._op = op
        self._health = health

    def state_change(self, cb: pybreaker.CircuitBreaker, old_state: Any, new_state: Any) -> None:  # noqa: ARG002
        # Half open is a try, and no success yet: an alert must not end with each of them.
        if new_state.name != pybreaker.STATE_HALF_OPEN:
            self._health.note(self._op, does=new_state.name == pybreaker.STATE_CLOSED)
        log.warning("cache_breaker_changed", op=self._op, state=new_state.name)


class Guard:
    """Calls of one kind.

    Args:
        op: The kind.
        settings: Breaker settings, and the key prefix, for advice.
        metrics: Where faults are counted.
        health: Told when the breaker opens and closes.
    """

    def __init__(self, op: Op, settings: RedisSettings, metrics: Metrics, health: CacheHealth) -> None:
        self._op = op
        self._metrics = metrics
        self._acl_rules = acl_rules(settings.key_prefix)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=settings.breaker_failures,
            reset_timeout=settings.breaker_open_s,
            listeners=[_Listener(op, health)],
            # The fault that opens the breaker says more than that it is open.
            throw_new_error_on_trip=False,
        )

    def call(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the call returns.

        Raises:
            Degraded: Redis gives no usable answer (caused by a RedisError), or is left alone for now.
        """
        try:
            return self._breaker.call(call, *arguments)
        except pybreaker.CircuitBreakerError as error:
            self._metrics.cache_faults.labels(op=self._op, kind="breaker_open").inc()
            raise Degraded(f"cache {self._op}: breaker open") from error
        except redis.RedisError as error:
            kind = type(error).__name__
            self._metrics.cache_faults.labels(op=self._op, kind=kind).inc()
            refused = remedy(error, self._acl_rules)
            if refused is None:
                log.warning("cache_unavailable", op=self._op, error=kind)
            else:
                log.error("cache_refused", op=self._op, error=kind, remedy=refused)  # noqa: TRY400  (the remedy says it all)
            raise Degraded(f"cache {self._op}: {kind}") from error
