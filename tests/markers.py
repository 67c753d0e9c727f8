"""The kind of every test: `unit`, `services`, `training`, `console`, `spark` or `chaos`.

The nearest line of `KINDS_BY_PATH` gives it. Fixtures that start a service make it `services`. A marker set by hand
adds to both. A test without a kind stops the collection, and so does a `unit` test that is something else as well.
"""

from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

KINDS: Final = frozenset({"unit", "services", "training", "console", "spark", "chaos"})

KINDS_BY_PATH: Final[dict[str, frozenset[str]]] = {
    path: frozenset(kinds.split())
    for path, kinds in {
        "*.py": "unit",
        "broker_twin": "unit",
        "chaos": "chaos",
        "console": "console",
        "consumers": "services",
        "deploy": "unit",
        "deploy/go_tools": "services",
        "deploy/local/test_cli.py": "services",
        "deploy/local/test_owner_death.py": "chaos",
        "deploy/spark": "spark",
        "integration": "services",
        "integration/test_broker_cluster.py": "chaos",
        "integration/test_broker_faults.py": "chaos",
        "integration/test_crash.py": "chaos",
        "integration/test_endless_inference.py": "chaos training",
        "integration/test_lost_heartbeats.py": "chaos",
        "integration/test_owed_writes.py": "chaos",
        "integration/test_redis_faults.py": "chaos",
        "integration/test_scale_out.py": "chaos",
        "loadtest": "unit",
        "model": "unit",
        "schemas": "unit",
        "test_help.py": "services",
        "testkit": "unit",
        "training_pipeline": "training",
        "worker": "unit",
    }.items()
}
"""Folders and files under tests/; a folder that is not here has no kind."""

SERVICE_FIXTURES: Final = frozenset({"stack", "cluster", "secured", "warm_cache", "helm", "promtool", "postgres"})
"""Fixtures that start a broker and a Redis, or fetch or build a program that is not ours."""

_TESTS: Final = Path(__file__).parent
_MOST_NAMED: Final = 20


def kinds_of(path: PurePosixPath, marked: Collection[str], fixtures: Collection[str]) -> frozenset[str]:
    """Return the kinds of a test.

    Args:
        path: Its file, from tests/.
        marked: The names of the markers it has by hand.
        fixtures: The fixtures it asks for.

    Raises:
        ValueError: it has no kind, or two that contradict each other.
    """
    by_hand = KINDS & set(marked)
    by_path = next((KINDS_BY_PATH[name] for name in _names(path) if name in KINDS_BY_PATH), frozenset())
    needed = by_hand | (frozenset({"services"}) if SERVICE_FIXTURES & set(fixtures) else frozenset())
    # `unit` of a folder is what a test is that says nothing else.
    kinds = needed | (by_path - {"unit"} if needed else by_path)
    if "chaos" in kinds:
        kinds |= {"services"}
    if not kinds:
        raise ValueError(
            f"no kind; expected one of {', '.join(sorted(KINDS))}: mark it, or name its folder in tests/markers.py"
        )
    if "unit" in kinds and kinds != {"unit"}:
        raise ValueError(f"`unit` and also {', '.join(sorted(kinds - {'unit'}))}; expected `unit` alone, or not at all")
    return kinds


def mark_all(items: Iterable[pytest.Item]) -> None:
    """Give every collected test its kinds.

    Raises:
        pytest.UsageError: some have none or contradicting ones.
    """
    faults: list[str] = []
    for item in items:
        path = PurePosixPath(item.path.relative_to(_TESTS).as_posix())
        marked = {mark.name for mark in item.iter_markers()}
        try:
            kinds = kinds_of(path, marked, getattr(item, "fixturenames", ()))
        except ValueError as fault:
            faults.append(f"{item.nodeid}: {fault}")
            continue
        for kind in sorted(kinds - marked):
            item.add_marker(kind)
    if faults:
        left_out = len(faults) - _MOST_NAMED
        raise pytest.UsageError(*faults[:_MOST_NAMED], *([f"and {left_out} more"] if left_out > 0 else []))


def _names(path: PurePosixPath) -> list[str]:
    """Return a file and its folders as the table names them, the nearest first; `*.py` stands directly in tests/."""
    return [str(path), *(str(parent) for parent in path.parents[:-1])] if len(path.parts) > 1 else [str(path), "*.py"]
