"""What a PromQL expression asks for."""

from collections.abc import Iterator
from typing import Any

import promql_parser

_BUILT_IN = {"ALERTS", "up"}
_SUFFIXES = ("_bucket", "_sum", "_count")
_FROM_DISCOVERY = {"job", "instance", "namespace", "release", "pod"}
KUBERNETES = {
    "kube_pod_container_status_restarts_total": {"namespace", "pod", "container"},
    "kube_pod_container_resource_limits": {"namespace", "pod", "container", "resource"},
}
"""What kube-state-metrics exports, its stable metrics alone, with the labels that are matched here."""
_CHILDREN = ("expr", "lhs", "rhs", "param", "vector_selector")


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that is selected, with the labels that are matched.

    Raises:
        ValueError: it is not PromQL.
    """
    # Grafana fills these in before it asks.
    plain = expression.replace("$__rate_interval", "5m")
    yield from _selected(promql_parser.parse(plain))


def _selected(node: Any) -> Iterator[tuple[str, set[str]]]:
    if isinstance(node, promql_parser.VectorSelector):
        yield node.name or "", {matcher.name for matcher in node.matchers.matchers}
        return
    children = [getattr(node, name, None) for name in _CHILDREN] + list(getattr(node, "args", None) or [])
    for child in children:
        if child is not None:
            yield from _selected(child)


def unknown(expression: str, exported: dict[str, set[str]]) -> list[str]:
    """Return what an expression asks for and the workers do not export: metrics, and labels of metrics.

    Args:
        expression: PromQL.
        exported: Metric family to its labels.
    """
    problems = []
    for metric, labels in selectors(expression):
        if metric in _BUILT_IN:
            continue
        family = next(
            (name for name in (metric, *(metric.removesuffix(suffix) for suffix in _SUFFIXES)) if name in exported),
            None,
        )
        if family is None:
            problems.append(metric)
            continue
        problems += [f"{metric}{{{label}}}" for label in sorted(labels - exported[family] - _FROM_DISCOVERY - {"le"})]
    return problems
