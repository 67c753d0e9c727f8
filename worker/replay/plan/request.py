"""What a replay is asked to do: which records, where to, under which model. Pure.

Two processes share a replay only where their requests are equal, so everything that decides a verdict stands in here.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from schemas import PolicyRef, RejectionReason, TaxonomyRef
from worker.errors import SettingsError
from worker.kafka.partition_range import Frozen, Span

REPLAY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A replay id ends in group and transactional ids, so it is kept to what Kafka's own names allow."""

_SPAN: Final = re.compile(r"(?:(?P<topic>[A-Za-z0-9._-]+):)?(?P<partition>\d+):(?P<start>\d*)-(?P<end>\d*)")


class ReplayRequest(Frozen):
    """Which records are judged again, by what, and where the verdicts go."""

    topics: Annotated[tuple[str, ...], Field(min_length=1)]
    redrive: bool = False
    """The topics hold dead letters: their outcomes answer the records they were."""
    since_ms: int | None = None
    until_ms: int | None = None
    spans: tuple[Span, ...] = ()
    partitions: tuple[int, ...] = ()
    n_chats: int = 0
    chats_digest: str | None = None
    reasons: tuple[RejectionReason, ...] = ()
    """Of a redrive: only dead letters with one of these reasons."""
    verdict_topic: str
    dead_letter_topic: str
    model_digest: str
    policy: PolicyRef
    policies_digest: str | None = None
    """Of all that decides; None in a plan of format 1."""
    taxonomy: TaxonomyRef | None = None
    """Of the model; None in a plan of format 1."""
    changes_topic: str | None = None
    """Set where the new verdicts are compared with the old ones."""

    @property
    def is_whole(self) -> bool:
        """Whether every record between the offsets is taken, so that a later redrive may start behind this one."""
        is_cut = self.partitions or self.n_chats or self.reasons or self.spans
        return not is_cut and self.since_ms is None and self.until_ms is None


def chats_digest(chat_ids: Iterable[str]) -> str:
    """Return a digest of a set of chat ids."""
    digest = hashlib.blake2b(digest_size=16)
    for chat_id in sorted(chat_ids):
        raw = chat_id.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.hexdigest()


def parse_span(text: str, topics: tuple[str, ...]) -> Span:
    """Read `[TOPIC:]PARTITION:START-END`; START, END or both may be missing.

    Raises:
        SettingsError: the text is something else, or names no topic where there are several.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise SettingsError(
            f"--offsets {text!r}: expected [TOPIC:]PARTITION:START-END, for example 3:1000-2000, 3:1000- or 3:-2000"
        )
    topic = found["topic"] or (topics[0] if len(topics) == 1 else None)
    if topic is None or topic not in topics:
        raise SettingsError(f"--offsets {text!r}: expected one of the topics {', '.join(topics)}, as TOPIC:{text}")
    start, end = (int(found[side]) if found[side] else None for side in ("start", "end"))
    if start is not None and end is not None and start > end:
        raise SettingsError(f"--offsets {text!r}: starts behind its end; expected START <= END")
    return Span(topic=topic, partition=int(found["partition"]), start=start, end=end)


def differences(planned: ReplayRequest, asked: ReplayRequest) -> list[str]:
    """Name what one request says and another does not; empty where they are equal."""
    # What a plan of format 1 does not say is no difference.
    unknown = {name for name in ("policies_digest", "taxonomy") if getattr(planned, name) is None}
    return [
        f"{name}: {getattr(planned, name)!r} then, {getattr(asked, name)!r} now"
        for name in ReplayRequest.model_fields
        if name not in unknown and getattr(planned, name) != getattr(asked, name)
    ]
