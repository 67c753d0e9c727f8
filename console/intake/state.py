"""What the intake does now, for pages and metrics."""

from dataclasses import dataclass
from enum import StrEnum


class Doing(StrEnum):
    """What it does."""

    STARTING = "starting"
    FOLLOWING = "following"
    """It reads, or waits for records."""
    STANDING_BY = "standing_by"
    """Another console reads."""
    KAFKA_AWAY = "kafka_away"
    """No broker answers, or one refuses; it asks again."""
    DATABASE_AWAY = "database_away"
    """Nothing can be written; it asks again, and nothing is lost."""
    ENDED = "ended"


@dataclass(frozen=True)
class IntakeState:
    """What it does, and since when. Times are milliseconds since 1970."""

    doing: Doing
    since_ms: int
    detail: str = ""
    """What was found; of a console that stands by: which one reads."""
    read_ms: int | None = None
    """When this console last wrote what it had read."""
    lag_records: int | None = None
    """Offsets that are unread, as far as is known; None where this console does not read."""

    @property
    def is_well(self) -> bool:
        """Whether records reach the database as they come, by this console or another one."""
        return self.doing in {Doing.FOLLOWING, Doing.STANDING_BY}
