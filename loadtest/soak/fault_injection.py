"""Make the faults of a schedule happen to a running stack, and take them back."""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from deploy.local.proxied_stack import ProxiedStack
from loadtest.errors import LoadTestError
from loadtest.soak.fault_fleet import FaultFleet
from loadtest.soak.fault_schedule import FaultKind, PlannedFault, planned_faults
from testkit.link_faults import HEALTHY, LinkFaults

_BAD_LINE: Final = LinkFaults(latency_s=0.15, jitter_s=0.05, loss_ratio=0.01, bytes_per_s=250_000)
_LOOK_EVERY_S: Final = 0.1
_JOIN_S: Final = 180.0

Undo = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault as it happened, seconds since the start."""

    at_s: float
    ended_s: float
    what: str


class FaultInjector:
    """A thread that strikes as planned until it is closed; then everything is whole again.

    Args:
        proxied: The stack.
        fleet: The workers.
        policy_path: The policy file, whose version it raises.
        seed: Of the schedule.
        told: Takes each fault when it is over.
    """

    def __init__(
        self,
        proxied: ProxiedStack,
        fleet: FaultFleet,
        policy_path: Path,
        seed: int,
        told: Callable[[Struck], None],
    ) -> None:
        self.struck: list[Struck] = []
        self.redis_lost_data = 0
        """How often Redis has come back empty."""
        self.brokers_ended: list[float] = []
        """When brokers had ended by themselves, seconds since the start."""
        self.error: BaseException | None = None
        self._proxied, self._fleet, self._policy_path = proxied, fleet, policy_path
        self._told = told
        self._plan = planned_faults(seed)
        self._policy_version = 1
        self._started_s = time.monotonic()
        self._stopping = threading.Event()
        self._ends: list[tuple[float, int, float, PlannedFault, Undo]] = []
        self._order = itertools.count()
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Strike no more, and take back what still holds."""
        self._stopping.set()
        self._thread.join(_JOIN_S)

    def close(self) -> None:
        """Stop, and raise what went wrong with it.

        Raises:
            LoadTestError: a fault could not be taken back in time.
        """
        self.stop()
        self.check()
        if self._thread.is_alive():
            raise LoadTestError(f"a fault was not taken back within {_JOIN_S:.0f} s; expected a stack that heals")

    def check(self) -> None:
        """Raise what went wrong, if anything did: without faults the rest of a run would prove nothing."""
        if self.error is not None:
            raise self.error

    def _now_s(self) -> float:
        return time.monotonic() - self._started_s

    def _run(self) -> None:
        try:
            next_fault = next(self._plan)
            while not self._stopping.wait(_LOOK_EVERY_S):
                now_s = self._now_s()
                while self._ends and self._ends[0][0] <= now_s:
                    self._end(heapq.heappop(self._ends))
                if next_fault.at_s <= now_s:
                    self._begin(next_fault)
                    next_fault = next(self._plan)
                self._fleet.replace_ended()
                self._replace_ended_brokers()
            while self._ends:
                self._end(heapq.heappop(self._ends))
        except BaseException as error:  # noqa: BLE001  raised again by `close`
            self.error = error

    def _replace_ended_brokers(self) -> None:
        """Start brokers again that ended by themselves, as whoever runs brokers does; a killed one is not due yet."""
        kafka = self._proxied.stack.kafka
        killed = {self._broker(one[3]) for one in self._ends if one[3].kind is FaultKind.BROKER_KILLED}
        for i, process in enumerate(kafka.processes):
            if i not in killed and not process.is_running():
                self.brokers_ended.append(round(self._now_s(), 1))
                kafka.start_broker(i)

    def _begin(self, fault: PlannedFault) -> None:
        began_s = self._now_s()
        undo = self._strike(fault)
        heapq.heappush(self._ends, (self._now_s() + fault.hold_s, next(self._order), began_s, fault, undo))

    def _end(self, held: tuple[float, int, float, PlannedFault, Undo]) -> None:
        _, _, began_s, fault, undo = held
        undo()
        struck = Struck(round(began_s, 1), round(self._now_s(), 1), self._name(fault))
        self.struck.append(struck)
        self._told(struck)

    def _name(self, fault: PlannedFault) -> str:
        return f"{fault.kind} ({self._broker(fault)})" if fault.part == "broker" else str(fault.kind)

    def _broker(self, fault: PlannedFault) -> int:
        return fault.choice % len(self._proxied.brokers)

    def _strike(self, fault: PlannedFault) -> Undo:
        """Begin a fault; return what takes it back."""
        if fault.part == "broker":
            return self._strike_broker(fault.kind, self._broker(fault))
        if fault.part == "redis":
            return self._strike_redis(fault.kind)
        if fault.kind is FaultKind.POLICY_CHANGED:
            self._change_policy()
        elif fault.kind is FaultKind.WORKER_FROZEN:
            which = self._fleet.freeze(fault.choice)
            return lambda: self._fleet.thaw(which)
        elif fault.kind is FaultKind.WORKER_KILLED:
            self._fleet.kill_victim()
        else:
            self._fleet.restart_victim()
        return lambda: None

    def _strike_broker(self, kind: FaultKind, broker: int) -> Undo:
        kafka, line = self._proxied.stack.kafka, self._proxied.brokers[broker]
        if kind is FaultKind.BROKER_KILLED:
            kafka.stop_broker(broker, kill=True)
            return lambda: kafka.start_broker(broker)
        if kind is FaultKind.BROKER_FROZEN:
            kafka.pause_broker(broker)
            return lambda: kafka.resume_broker(broker)
        if kind is FaultKind.BROKER_LINE_CUT:
            line.cut()
            return lambda: None
        line.faults = _BAD_LINE if kind is FaultKind.BROKER_LINE_BAD else LinkFaults(is_silent=True)
        return line.heal

    def _strike_redis(self, kind: FaultKind) -> Undo:
        server, line = self._proxied.stack.redis, self._proxied.redis
        if kind is FaultKind.REDIS_KILLED:
            server.stop(kill=True)
            self.redis_lost_data += 1
            return server.start
        if kind is FaultKind.REDIS_FROZEN:
            server.pause()
            return server.resume
        if kind is FaultKind.REDIS_FULL:
            self._set_most_memory("1")
            return lambda: self._set_most_memory("0")
        line.faults = _BAD_LINE

        def heal() -> None:
            line.faults = HEALTHY

        return heal

    def _set_most_memory(self, size: str) -> None:
        with redis.Redis.from_url(self._proxied.stack.redis_url) as client, suppress(redis.RedisError):
            client.config_set("maxmemory-policy", "noeviction")
            client.config_set("maxmemory", size)

    def _change_policy(self) -> None:
        self._policy_version += 1
        write_policy(self._policy_path, self._policy_version)


def write_policy(path: Path, version: int) -> None:
    """Put a policy of this version in the place of the one before; its bans change with it."""
    banned = ("D", "J", "M") if version % 2 else ("J", "M")
    codes = ", ".join(f'"{code}"' for code in banned)
    text = f'name = "soak"\nversion = "{version}"\ntaxonomy = "chat-13"\nbanned = [{codes}]\n'
    text += "max_banned_to_safe_rate = 0.05\nmax_safe_to_banned_rate = 0.02\n"
    fresh = path.with_suffix(".new")
    fresh.write_text(text, "utf-8")
    fresh.replace(path)
