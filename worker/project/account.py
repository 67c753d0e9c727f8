"""What a projection did."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass
class Projected:
    """Counts of one run."""

    from_ms: int
    """Start of the time span, ms since the epoch."""
    letters_complete_from_ms: int
    """From when on no dead letter was deleted; 0 where all are kept."""
    n_verdicts_read: int = 0
    n_dead_letters_read: int = 0
    n_unreadable: int = 0
    """Records of the output topics that this version cannot read; their chats are left alone."""
    n_chats: int = 0
    n_written: int = 0
    n_newer_there: int = 0
    """Keys that held something newer already."""
    n_markers: int = 0
    """Of the chats: those whose newest outcome is no verdict."""
    n_expired: int = 0
    """Chats whose outcome is older than the TTL."""
    duration_s: float = 0.0

    def line(self) -> dict[str, Any]:
        """Return the account as one JSON line."""
        return {
            "event": "project_ended",
            "from_time": _iso(self.from_ms),
            "dead_letters_complete_from": _iso(self.letters_complete_from_ms)
            if self.letters_complete_from_ms
            else None,
            "n_verdicts_read": self.n_verdicts_read,
            "n_dead_letters_read": self.n_dead_letters_read,
            "n_unreadable": self.n_unreadable,
            "n_chats": self.n_chats,
            "n_written": self.n_written,
            "n_newer_there": self.n_newer_there,
            "n_markers": self.n_markers,
            "n_expired": self.n_expired,
            "duration_s": round(self.duration_s, 1),
        }


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1_000, UTC).isoformat(timespec="milliseconds")
