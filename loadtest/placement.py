"""Which CPUs what is measured runs on, and which all that stands beside it.

A worker that shares its CPUs with the broker and the generator tells an operator little: in production they are on
other machines. Everything that is started inherits its CPUs from who starts it, so this process takes those of the
others, and takes the worker's for the moment in which it starts what is measured.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from loadtest.errors import LoadTestError

_CPUS = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Placement:
    """CPUs by number. Both empty: everything runs where this process does."""

    worker: frozenset[int] = frozenset()
    """Of what is measured: a worker, a peer, a baseline."""
    others: frozenset[int] = frozenset()
    """Of broker, Redis, generator and reader."""

    @classmethod
    def of(cls, worker_cpus: str | None, other_cpus: str | None) -> "Placement":
        """Read both lists, such as 0 or 0-1,4.

        Raises:
            LoadTestError: a list names no usable CPUs, stands alone, or has a CPU in common with the other.
        """
        if worker_cpus is None and other_cpus is None:
            return cls()
        if worker_cpus is None or other_cpus is None:
            raise LoadTestError("one of --worker-cpus and --other-cpus is given; expected both or neither")
        worker, others = _cpus("--worker-cpus", worker_cpus), _cpus("--other-cpus", other_cpus)
        if both := worker & others:
            raise LoadTestError(
                f"CPUs {_named(both)} are in --worker-cpus and in --other-cpus; expected lists without a CPU in common"
            )
        return cls(worker, others)

    @property
    def n_worker_cpus(self) -> int:
        """CPUs that what is measured may use."""
        return len(self.worker or os.sched_getaffinity(0))

    def take(self) -> None:
        """Put this process, and what it starts from now on, on the CPUs of the others."""
        if self.others:
            os.sched_setaffinity(0, self.others)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Inside the block this thread starts processes on the worker's CPUs."""
        if not self.worker:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.worker)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def facts(self) -> dict[str, Any]:
        """Return the lists for the JSON line; None where nothing was placed."""
        return {
            "worker_cpus": sorted(self.worker) or None,
            "other_cpus": sorted(self.others) or None,
        }


def _cpus(option: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        match = _CPUS.fullmatch(part.strip())
        if match is None:
            raise LoadTestError(f"{option} is {text!r}; expected numbers and ranges by comma, such as 0-1,4")
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(first, last + 1))
    usable = os.sched_getaffinity(0)
    if not found or found - usable:
        raise LoadTestError(f"{option} is {text!r}; expected some of the CPUs {_named(usable)}, which are usable here")
    return frozenset(found)


def _named(cpus: frozenset[int] | set[int]) -> str:
    return ", ".join(map(str, sorted(cpus)))
