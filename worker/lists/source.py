"""Lists bear on events."""

from collections.abc import Callable
from dataclasses import replace

from model.policies.context import DecisionContext
from schemas import CodecLimits, RecordRejected, ValueFormat, parse_event_in
from worker.decide import ContextSource
from worker.lists.list_file import Lists
from worker.process.metrics import Metrics
from worker.record import Event
from worker.verdict_builder import VerdictBuilder


class ListSource(ContextSource):
    """Says of each event whether its chat is on a list; see `worker.decide.ContextSource`.

    Args:
        newest: Gives the lists as the file has them now; asked once a batch.
        user_field: Field of an event that names its user, dotted.
        limits: Codec limits.
        value_format: What records' values are.
        metrics: Where matches are counted.
    """

    def __init__(
        self,
        newest: Callable[[], Lists],
        metrics: Metrics,
        *,
        user_field: str | None = None,
        limits: CodecLimits | None = None,
        value_format: ValueFormat = ValueFormat.JSON,
    ) -> None:
        self._newest = newest
        self._lists = newest()
        self._path = () if user_field is None else tuple(user_field.split("."))
        self._limits = limits or CodecLimits()
        self._value_format = value_format
        self._denied, self._allowed = (metrics.list_matches.labels(list=name) for name in ("deny", "allow"))

    def begin(self) -> None:
        """Take over what the file says now."""
        self._lists = self._newest()

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:  # noqa: ARG002
        """Return the context with the list that the chat is on."""
        lists, chat_id = self._lists, event.chat.chat_id
        user = self._user(event) if lists.names_users else None
        if lists.deny.names(chat_id, user):
            self._denied.inc()
            return replace(context, is_denied=True)
        if lists.allow.names(chat_id, user):
            self._allowed.inc()
            return replace(context, is_allowed=True)
        return context

    def _user(self, event: Event) -> str | None:
        """Return what the event says of its user: a text, or a whole number as its digits.

        Its record is parsed a second time: an event keeps only what the classifier reads.
        """
        try:
            found: object = parse_event_in(event.record.value, self._limits, self._value_format)
        except RecordRejected:
            return None
        for name in self._path:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        return found if isinstance(found, str) else None
