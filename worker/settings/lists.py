"""Where the allow and deny lists are, and by which field of an event they know its user."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from worker.settings.section import MAX_S, Section


class ListSettings(Section):
    """Chats that are always blocked, or allowed where nothing stricter speaks."""

    path: Path | None = Field(default=None, description="TOML file of the lists; unset: no lists.")
    user_field: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,3}$",
        json_schema_extra={
            "form": "names of ASCII letters, digits, `_` and `-`, joined by dots, four at most, such as context.user_id"
        },
        description="Field of the event that names its user, dotted inside of objects (`context.user_id`), for the "
        "lists' `users`. Unset: lists name chats only.",
    )
    user_field_chosen_by: Literal["user", "platform"] = Field(
        default="user",
        description="Who chooses what user_field holds: user, or platform, as with an id that it issues. Only what the "
        "platform chooses may stand on an allow list.",
    )
    reload_interval_s: float = Field(
        default=5.0,
        gt=0,
        le=MAX_S,
        description="How often the file is looked at for a change, which is taken over between two batches.",
    )

    @model_validator(mode="after")
    def _an_issued_field_is_named(self) -> Self:
        if self.user_field_chosen_by == "platform" and self.user_field is None:
            raise ValueError("user_field_chosen_by is set without user_field; expected the field's name; set both")
        return self
