"""Whether a second bundle judges the same chats, and how much of them may wait for it."""

from pathlib import Path

from pydantic import Field

from worker.settings.section import Section


class ShadowSettings(Section):
    """A second bundle that judges the same chats for a topic of its own; live verdicts never wait for it."""

    model_path: Path | None = Field(default=None, description="Bundle folder, or a registry; unset: no shadow.")
    policy_path: Path | None = Field(
        default=None, description="Policy file; by default the live one, else the shadow bundle's own policy."
    )
    sample_ratio: float = Field(
        default=1.0, gt=0, le=1, description="Share of the classified chats that the shadow judges, chosen by content."
    )
    queue_records: int = Field(default=1_000, gt=0, description="Chats that wait for the shadow; more are dropped.")
    queue_max_bytes: int = Field(
        default=16_000_000, ge=1_000_000, description="Bytes of events that wait for the shadow; more are dropped."
    )
