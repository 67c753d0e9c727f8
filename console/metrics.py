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
            "Requests by route, status and the name of the key; `(person)`: of those who have logged in.",
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
        self.users_outdated = Gauge(
            "moderation_console_users_outdated",
            "1 where the file of users changed into one that cannot be used.",
            registry=self.registry,
        )
        self.policies_refused = Gauge(
            "moderation_console_policies_refused",
            "Policy files that cannot be used, and decide nothing.",
            registry=self.registry,
        )
        self.logins_refused = Counter(
            "moderation_console_logins_refused_total",
            "Logins refused: the password or the key was wrong, or too many tried (rate).",
            ["reason"],
            registry=self.registry,
        )
        self.identity_ignored = Counter(
            "moderation_console_identity_ignored_total",
            "Requests whose proxy headers did not count: of another address, without the secret, or repeated.",
            ["reason"],
            registry=self.registry,
        )
        for counter, reasons in (
            (self.logins_refused, ("password", "key", "rate")),
            (self.identity_ignored, ("address", "secret", "repeated")),
        ):
            for reason in reasons:
                # There before the first one, or an increase() would not see it.
                counter.labels(reason=reason)
        self._add_operations()
        self.outbox_rows = Counter(
            "moderation_console_outbox_rows_total",
            "Decisions, reports and answers on appeals that left the outbox: sent, or refused for good.",
            ["kind", "result"],
            registry=self.registry,
        )
        self.outbox_refused = Gauge(
            "moderation_console_outbox_refused_rows",
            "Rows that were refused for good and that nobody has tried again or dismissed.",
            registry=self.registry,
        )
        self.reports = Counter(
            "moderation_console_reports_total",
            "Reports that a verdict is wrong: accepted, or dropped since no known verdict is meant.",
            ["result"],
            registry=self.registry,
        )
        for result in ("accepted", "dropped"):
            # There before the first one, or an increase() would not see it.
            self.reports.labels(result=result)
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

    def _add_operations(self) -> None:
        """Add what the database says of reviews; every console of one database says the same."""
        self.review_open_items = Gauge(
            "moderation_console_review_open_items",
            "Open items of the review queue; kind: review, sample, gold or appeal.",
            ["queue", "kind"],
            registry=self.registry,
        )
        self.review_late_items = Gauge(
            "moderation_console_review_late_items",
            "Open items that wait for longer than CONSOLE_REVIEW__ANSWER_WITHIN_S.",
            ["queue", "kind"],
            registry=self.registry,
        )
        self.review_oldest_s = Gauge(
            "moderation_console_review_oldest_seconds",
            "How long the oldest open item waits; 0 where there is none.",
            ["queue", "kind"],
            registry=self.registry,
        )
        self.outbox_waiting = Gauge(
            "moderation_console_outbox_waiting_rows", "Rows that are due and not sent.", registry=self.registry
        )
        self.outbox_oldest_s = Gauge(
            "moderation_console_outbox_oldest_seconds",
            "How long the oldest row is due that is not sent; 0 where there is none.",
            registry=self.registry,
        )
        self.intake_lag = Gauge(
            "moderation_console_intake_lag_records",
            "Records of a topic that are not in the database yet.",
            ["topic"],
            registry=self.registry,
        )
        self.reveals = Gauge(
            "moderation_console_reveals_last_hour",
            "Chat texts that were shown to people within the last hour; person: of all, or most of one.",
            ["person"],
            registry=self.registry,
        )
        self.store_away = Gauge(
            "moderation_console_store_away",
            "1 where the database does not answer, or takes no changes.",
            registry=self.registry,
        )
        self.pipeline_away = Gauge(
            "moderation_console_pipeline_away",
            "1 where Kafka does not say how far its topics are.",
            registry=self.registry,
        )

    def show_model(self, model: ModelRef, *, taxonomy: str, is_calibrated: bool) -> None:
        """Name the bundle that answers."""
        self._model.labels(model.name, model.version, model.digest, taxonomy, str(is_calibrated).lower()).set(1)
