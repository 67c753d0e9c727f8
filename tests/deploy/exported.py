"""What workers and console export, read from their own metrics."""

from prometheus_client.metrics import MetricWrapperBase

from console.metrics import Metrics as ConsoleMetrics
from worker.process.metrics import Metrics
from worker.record import Record


def console_metrics() -> dict[str, set[str]]:
    """Return the same of the console, read from console/metrics.py."""
    metrics = ConsoleMetrics()
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: set(metric._labelnames)
        for metric in vars(metrics).values()
        if isinstance(metric, MetricWrapperBase)
        for family in metric.describe()
    }


def exported_metrics() -> dict[str, set[str]]:
    """Return each metric's name as Prometheus sees it, with its labels."""
    metrics = Metrics()
    metrics.lag_age.read([Record("chat-events", 0, 0, 1, None, b"{}")])
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            name = next(iter(metric.describe())).name
            found[f"{name}_total" if metric._type == "counter" else name] = set(metric._labelnames)
    for family in metrics.registry.collect():
        for sample in family.samples:
            name = sample.name if family.type in {"counter", "gauge"} else family.name
            found.setdefault(name, set(sample.labels))
    return found
