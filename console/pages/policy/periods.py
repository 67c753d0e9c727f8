"""The times whose verdicts the page can ask for, and how far reading them is."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from console.pipeline.reading import Period, Reading

DAY: Final = "day"
YESTERDAY: Final = "yesterday"
HOUR: Final = "hour"
NAMES: Final = {DAY: "the last 24 hours", YESTERDAY: "yesterday (UTC)", HOUR: "the last hour"}


def period_of(name: str, now: datetime) -> Period:
    """Return a period; `name` is one of `NAMES`."""
    end = now
    if name == YESTERDAY:
        end = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = end - timedelta(hours=1 if name == HOUR else 24)
    return Period(_ms(begin), _ms(end))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000)


def state_of(reading: Reading | None, digest: str) -> dict[str, Any]:
    """Return how far a reading is, as JSON.

    Args:
        reading: None: another one is under way.
        digest: Of the console's bundle.
    """
    if reading is None:
        return {"state": "waits"}
    state: dict[str, Any] = {
        "state": "reads",
        "since_ms": reading.period.since_ms,
        "until_ms": reading.period.until_ms,
        "share": round(reading.share, 4),
        "n_records": reading.n_records,
    }
    if reading.error is not None:
        return state | {"state": "failed", "error": reading.error}
    if (found := reading.found) is None:
        return state
    return state | {
        "state": "ready",
        "n_records": found.n_records,
        "n_chats": found.columns.n,
        "set_aside": dict(sorted(found.set_aside.items())),
        "other_bundles": found.other_bundles.most_common(3),
        "digest": digest,
        "sampled_share": found.sampled_share,
        "stopped_at": found.stopped_at,
    }


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)
