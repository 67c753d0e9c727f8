"""Prometheus metrics of one worker. Names carry units; no label ever holds a chat id or text."""

import time
from collections import Counter as Counted
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from model import Classification, ClassifyStats, RowFailed
from schemas import Decision, RejectionReason
from worker.process.lag_age import LagAge
from worker.process.logs import DroppedLines
from worker.record import Row

_STAGE_BUCKETS_S = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)
_ROW_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_LATENCY_BUCKETS_S = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0)


class Metrics:
    """All metrics, in a registry of their own, so that nothing happens at import and tests do not share counts."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(DroppedLines())
        self._counters()
        self.lag_age = LagAge(on_implausible=self.implausible_timestamps.inc)
        self.registry.register(self.lag_age)
        self._gauges()
        self._histograms()

    def _counters(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"moderation_{name}", text, labels, registry=self.registry)

        self.records = counter("records_total", "Input records whose outcome is committed.")
        self.verdicts = counter(
            "verdicts_total", "Committed verdicts; category: its code.", "category", "decision", "cache_hit"
        )
        self.rejections = counter("rejections_total", "Committed dead letters.", "reason")
        self.reviews = counter("reviews_total", "Committed records that ask for a person, by verdict.", "category")
        self.cache_lookups = counter("cache_lookups_total", "Events looked up in the cache.", "result")
        self.cache_writes = counter(
            "cache_writes_total",
            "Compare-and-set writes; stale ones were dropped, refused ones are owed.",
            "result",
        )
        self.cache_owed_dropped = counter(
            "cache_owed_dropped_total",
            "Owed writes that did not fit; what is left of each: a marker, or its offset.",
            "left",
        )
        self.cache_faults = counter("cache_faults_total", "Redis calls without a usable answer.", "op", "kind")
        self.cache_refused = counter("cache_refused_total", "Cached values that were not believed.", "reason")
        self.record_stage_s = counter(
            "record_stage_seconds_total",
            "Time of each stage times the records in it; stage wait: record timestamp to batch (wall clocks).",
            "stage",
        )
        self.tokens = counter("tokens_total", "Tokens classified, without padding.")
        self.first_stage_rows = counter("first_stage_rows_total", "Rows that the bundle's first stage answered alone.")
        self.pieces = counter("pieces_total", "Rows classified besides the chats' main windows.", "stage")
        self.languages = counter("languages_total", "Chats classified, by the language of their users.", "language")
        self.unevaluated = counter("unevaluated_total", "Chats of which something was not evaluated.", "reason")
        self.padded_tokens = counter("padded_tokens_total", "Tokens computed, padding included.")
        self.inference_timeouts = counter("inference_timeouts_total", "Inferences ended because they took too long.")
        self.abandoned_sessions = counter(
            "abandoned_sessions_total", "Model sessions left behind with an inference that did not end."
        )
        self.aborts = counter("batch_aborts_total", "Batches aborted and read again.", "indefinite")
        self.rebalances = counter("rebalances_total", "Changes of the partition assignment.", "kind")
        self.left_out = counter(
            "left_out_total",
            "What events held and nobody judged or carries whole: parts that are no text, event_id or occurred_at cut.",
            "what",
        )
        self.lost_records = counter(
            "lost_records_total", "Committed offsets deleted by retention before they were read."
        )
        self.headers_dropped = counter(
            "headers_dropped_total", "Headers that were to be forwarded and are too large or unreadable.", "reason"
        )
        self.reloads = counter(
            "reload_total", "Looks at a changed bundle or policy; overdue: looks that take too long.", "role", "outcome"
        )
        self.key_problems = counter(
            "key_problems_total", "Records whose key is missing, unreadable or names another chat.", "problem"
        )
        self.implausible_timestamps = counter(
            "implausible_timestamps_total",
            "Records whose timestamp can be no time in ms, seconds say; they count as without one.",
        )
        self.state_unreadable = counter(
            "state_unreadable_total", "Records of the state topic that could not be read; their chats are not held."
        )
        self.overrides_refused = counter(
            "overrides_refused_total", "Records of the overrides topic that count for nothing.", "reason"
        )
        self.override_verdicts = counter(
            "override_verdicts_total", "Overrides that were to get a verdict of their own.", "result"
        )
        self.list_matches = counter("list_matches_total", "Events of chats on a list.", "list")
        self.shadow_verdicts = counter("shadow_verdicts_total", "Shadow verdicts that Kafka has acknowledged.")
        self.shadow_dropped = counter("shadow_dropped_total", "Chats that got no shadow verdict.", "reason")
        self.shadow_compared = counter(
            "shadow_compared_total", "Chats judged by both bundles.", "live_decision", "shadow_decision"
        )
        self.shadow_categories = counter("shadow_categories_total", "The same, by category.", "agreement")

    def _gauges(self) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"moderation_{name}", text, labels, registry=self.registry)

        self.lag_records = gauge("lag_records", "Records behind the end of the partition.", "topic", "partition")
        self.assigned_partitions = gauge("assigned_partitions", "Partitions owned now.")
        self.partition_paused = gauge(
            "partition_paused",
            "1 for a partition that is not read: offsets of it are lost.",
            "topic",
            "partition",
        )
        self.unreadable_s = gauge(
            "unreadable_seconds",
            "How long the reading of a partition stands still before records that are there.",
            "topic",
            "partition",
        )
        self.uncommitted_s = gauge(
            "uncommitted_seconds", "How long nothing could be committed though there was something to commit."
        )
        self.fetch_partitions = gauge(
            "fetch_partitions", "Partitions read from each broker; only where client_rack is set.", "broker"
        )
        self.cache_up = gauge("cache_up", "1 while the cache answers reads and takes writes.")
        self.cache_breaker_open = gauge("cache_breaker_open", "1 while Redis is left alone for these calls.", "op")
        self.cache_owed_writes = gauge("cache_owed_writes", "Chats whose newest outcome Redis has not taken.")
        self.cache_owed_oldest_s = gauge("cache_owed_oldest_seconds", "How long the oldest of them has been owed.")
        self.held_chats = gauge("held_chats", "Chats with a block that holds, kept in memory.")
        self.kafka_up = gauge("kafka_up", "1 while a broker is reachable.")
        self.batch_limit_records = gauge("batch_limit_records", "Adaptive record limit of the next batch.")
        predictor = ("name", "version", "digest", "policy", "taxonomy")
        self.model_info = gauge("model_info", "1 for the bundle and policy in use.", *predictor)
        self.model_calibrated = gauge(
            "model_calibrated",
            "1 where the bundle in use was calibrated on labelled chats; 0: all its risks are 1.",
            "role",
        )
        self.policy_info = gauge("policy_info", "1 for each policy in use, the default one too.", "name", "version")
        self.policies_refused = gauge(
            "policies_refused", "Files of the folder of policies that are refused now; what each held before stays."
        )
        self.policies_unpublished = gauge(
            "policies_unpublished", "Rows of the policy table that Kafka has not acknowledged yet."
        )
        self.shadow_model_info = gauge("shadow_model_info", "1 for the shadow bundle and its policy.", *predictor)
        self.reload_failed = gauge("reload_failed", "1 while the bundle or policy on disk is refused.", "role")
        self.reload_last_look_s = gauge(
            "reload_last_look_timestamp_seconds", "When a look at bundle and policy last ended (wall clock).", "role"
        )
        self.certificate_expiry_s = gauge(
            "certificate_expiry_timestamp_seconds", "When a certificate file that the settings name ends.", "file"
        )
        self.overrides_in_force = gauge("overrides_in_force", "Decisions of people that have not expired.")
        self.overrides_due = gauge("overrides_due", "Of those, how many wait for a verdict of their own here.")
        self.overrides_lag_records = gauge("overrides_lag_records", "Offsets of the overrides topic that are unread.")
        self.overrides_last_record_s = gauge(
            "overrides_last_record_timestamp_seconds", "Timestamp of the newest record of the overrides topic; 0: none."
        )
        self.overrides_last_read_s = gauge(
            "overrides_last_read_timestamp_seconds", "When the overrides topic was last looked at (wall clock)."
        )
        self.list_entries = gauge("list_entries", "Entries of the lists in use.", "list")
        self.lists_failed = gauge("lists_failed", "1 while the file of lists on disk is refused.")
        self.shadow_queue_records = gauge("shadow_queue_records", "Chats that wait for the shadow.")

    def _histograms(self) -> None:
        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"moderation_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.stage_duration_s = histogram("stage_duration_seconds", "Time of one stage.", _STAGE_BUCKETS_S, "stage")
        self.commit_duration_s = histogram("commit_duration_seconds", "Time of one transaction.", _STAGE_BUCKETS_S)
        self.batch_records = histogram("batch_records", "Records per batch.", _ROW_BUCKETS)
        self.batch_rows = histogram("batch_rows", "Rows classified per batch.", _ROW_BUCKETS)
        self.padding_ratio = histogram(
            "padding_ratio",
            "Share of computed tokens that is padding.",
            (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75),
        )
        self.latency_s = histogram(
            "latency_seconds",
            "Record timestamp to committed verdict (wall clocks).",
            _LATENCY_BUCKETS_S,
        )

    def observe_stage(self, stage: str, duration_s: float, n_records: int) -> None:
        """Count one stage of one batch: what it cost, and how long its records were in it."""
        self.stage_duration_s.labels(stage=stage).observe(duration_s)
        self.record_stage_s.labels(stage=stage).inc(duration_s * n_records)

    def observe_outcomes(self, rows: Sequence[Row]) -> None:
        """Count how the records of a committed batch ended."""
        now_ms = time.time() * 1_000
        self.records.inc(len(rows))
        self.lag_age.committed(row.record for row in rows)
        self.batch_records.observe(len(rows))
        # Counted here and added once per batch: looking a labelled child up costs as much as decoding a short chat.
        verdicts: Counted[tuple[str, Decision, bool]] = Counted()
        rejections: Counted[RejectionReason] = Counted()
        for row in rows:
            if (written_ms := row.record.written_ms) is not None:
                self.latency_s.observe(max(0.0, now_ms - written_ms) / 1_000)
            if (verdict := row.verdict) is not None:
                verdicts[verdict.category.code, verdict.decision, verdict.cache_hit] += 1
            elif row.rejection is not None:
                rejections[row.rejection.reason] += 1
        for (category, decision, is_hit), n_verdicts in verdicts.items():
            result = "hit" if is_hit else "miss"
            self.verdicts.labels(category, decision.value, result).inc(n_verdicts)
            self.cache_lookups.labels(result=result).inc(n_verdicts)
        for reason, n_rejected in rejections.items():
            self.rejections.labels(reason=reason.value).inc(n_rejected)

    def observe_reading(self, results: Iterable[Classification | RowFailed]) -> None:
        """Count what chats were written in, and what of them was not evaluated."""
        read = [result for result in results if isinstance(result, Classification)]
        for language, n_chats in Counted(result.language or "undetermined" for result in read).items():
            self.languages.labels(language=language).inc(n_chats)
        for reason, n_chats in Counted(reason for result in read for reason in result.unevaluated).items():
            self.unevaluated.labels(reason=str(reason)).inc(n_chats)

    def count_left_out(self, what: str, n: int) -> None:
        """Count what was left out of an event or cut."""
        self.left_out.labels(what=what).inc(n)

    def observe_classification(self, stats: ClassifyStats, n_records: int) -> None:
        """Count one call of the classifier; all `n_records` of the batch wait for it, those it need not judge too."""
        self.inference_timeouts.inc(stats.n_timeouts)
        self.abandoned_sessions.inc(stats.n_abandoned)
        if not stats.n_rows:
            return
        self.batch_rows.observe(stats.n_rows)
        self.first_stage_rows.inc(stats.n_first_stage)
        self.pieces.labels(stage="first_stage").inc(stats.n_pieces_first_stage)
        self.pieces.labels(stage="transformer").inc(stats.n_pieces - stats.n_pieces_first_stage)
        self.tokens.inc(stats.n_tokens)
        self.padded_tokens.inc(stats.n_padded_tokens)
        self.padding_ratio.observe(stats.padding_ratio)
        self.observe_stage("tokenize", stats.tokenize_s, n_records)
        self.observe_stage("infer", stats.infer_s, n_records)
