"""What all sections of the settings share: frozen, and no unknown names."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
