"""What a worker exports, read from worker/process/metrics.py itself."""

from prometheus_client.metrics import MetricWrapperBase

from worker.process.metrics import Metrics
from worker.record import Record


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
