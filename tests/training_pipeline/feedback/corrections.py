"""Events as records, the verdicts on them, and reports that they are wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from schemas import CHAT_13, Feedback, Source, Verdict, content_fingerprint, decode_chat_event, encode_feedback
from schemas.codec import CodecLimits
from tests.schemas.payloads import make_verdict
from tests.training_pipeline.data.chat_files import chat, write_lines

TOPIC = "chat-events"
START = datetime(2026, 11, 1, tzinfo=UTC)


class Corrections:
    """A topic of events in memory and what was reported about them."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.verdicts: list[Verdict] = []
        self.reports: list[Feedback | bytes] = []

    def event(self, chat_id: str, *texts: str, **fields: Any) -> Verdict:
        """Add an event and return the verdict on it."""
        event = chat(chat_id, *texts, **fields)
        source = self._add(chat_id, orjson.dumps(event).decode())
        fingerprint = content_fingerprint(decode_chat_event(orjson.dumps(event), CodecLimits()))
        verdict = make_verdict(
            chat_id=chat_id,
            source=source,
            verdict_id=f"{source.offset:032x}",
            content_fingerprint=fingerprint,
            taxonomy=CHAT_13.ref,
        )
        self.verdicts.append(verdict)
        return verdict

    def tombstone(self, chat_id: str) -> Source:
        """Have a chat erased."""
        return self._add(chat_id, None)

    def _add(self, key: str, payload: str | None) -> Source:
        source = Source(topic=TOPIC, partition=0, offset=len(self.records), timestamp_ms=1_000 + len(self.records))
        self.records.append(
            {"topic": TOPIC, "partition": 0, "offset": source.offset, "key": key, "payload": payload, "ts": 1}
        )
        return source

    def report(self, verdict: Verdict, category: str | None = "D", reporter: str = "ann", **fields: Any) -> Feedback:
        """Report a verdict, a minute after the report before; `fields` are laid over the report."""
        made = Feedback.model_validate(
            {
                "verdict_id": verdict.verdict_id,
                "source": verdict.source,
                "fingerprint": verdict.content_fingerprint,
                "category": category,
                "reporter": reporter,
                "reported_at": START + timedelta(minutes=len(self.reports)),
                **fields,
            }
        )
        self.reports.append(made)
        return made

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Write reports, events and verdicts as files."""
        reports = [one if isinstance(one, bytes) else encode_feedback(one) for one in self.reports]
        return (
            write_lines(folder / "reports.jsonl", reports),
            write_lines(folder / "events.jsonl", self.records),
            write_lines(folder / "verdicts.jsonl", [one.model_dump_json().encode() for one in self.verdicts]),
        )
