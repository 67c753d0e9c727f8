"""How many records one batch holds: few while the worker keeps up, more while it lags."""

from typing import Self

from pydantic import Field, model_validator

from worker.settings.section import MAX_S, Section


class BatchSettings(Section):
    """How many records are taken at once."""

    max_records: int = Field(
        default=1000, gt=0, le=1_000_000, description="Record limit of one batch and of its transaction."
    )
    max_bytes: int = Field(
        default=8_000_000,
        ge=1_000_000,
        description="Byte limit of one batch, as its records are estimated to take decoded.",
    )
    thin_s: float = Field(
        default=0.1, gt=0, le=MAX_S, description="Intended time of a batch while the worker keeps up."
    )
    lagging_s: float = Field(
        default=1.0, gt=0, le=MAX_S, description="Intended time of a batch while records queue up."
    )

    @model_validator(mode="after")
    def _lagging_is_longer(self) -> Self:
        if self.lagging_s < self.thin_s:
            raise ValueError(f"lagging_s={self.lagging_s} is below thin_s={self.thin_s}; expected at least as much")
        return self
