"""Every metric of the console, in a registry of its own."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas import ModelRef

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics; labels come from fixed lists, the key's names aside."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "moderation_console_requests_total",
            "Requests by route, status and the name of the key.",
            ["route", "status", "key"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "moderation_console_request_seconds",
            "From the first byte of a request to the last of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.conversations = Counter(
            "moderation_console_conversations_total",
            "Conversations that got an answer, by decision; `failed`: the model could not judge them.",
            ["decision"],
            registry=self.registry,
        )
        self.refused = Counter(
            "moderation_console_refused_total",
            "Requests refused for load: queue, or bytes held.",
            ["reason"],
            registry=self.registry,
        )
        self.waiting = Gauge(
            "moderation_console_waiting_conversations",
            "Conversations that wait for the classifier.",
            registry=self.registry,
        )
        self.batch_conversations = Histogram(
            "moderation_console_batch_conversations",
            "Conversations of a micro-batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self.registry,
        )
        self.batch_seconds = Histogram(
            "moderation_console_batch_seconds", "Time of a micro-batch.", buckets=_SECONDS, registry=self.registry
        )
        self.keys_outdated = Gauge(
            "moderation_console_keys_outdated",
            "1 where the file of keys changed into one that cannot be used.",
            registry=self.registry,
        )
        self.drift = Gauge(
            "moderation_console_drift_psi",
            "Population stability index of the last day's verdicts against calibration; NaN where nothing can be said.",
            ["what"],
            registry=self.registry,
        )
        self._model = Gauge(
            "moderation_console_model_info",
            "The bundle that answers.",
            ["name", "version", "digest", "taxonomy", "calibrated"],
            registry=self.registry,
        )

    def show_model(self, model: ModelRef, *, taxonomy: str, is_calibrated: bool) -> None:
        """Name the bundle that answers."""
        self._model.labels(model.name, model.version, model.digest, taxonomy, str(is_calibrated).lower()).set(1)
