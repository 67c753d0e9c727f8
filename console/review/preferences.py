"""How each person wants the page. Everybody begins with a text that is hidden until it is asked for."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import Connection, delete, insert, select

from console.review.errors import WishRefused
from console.store.tables import preferences

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f]+$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SavedFilter(_Strict):
    """A filter of bulk actions that somebody uses again."""

    category: Name
    policy: Name | None = None
    """None: any."""


class Preferences(_Strict):
    """One person's."""

    text: Literal["blurred", "collapsed", "open"] = "blurred"
    """All of it blurred until asked for; severe passages collapsed, each to a line that names its class; or open."""
    greyscale: bool = False
    """Whether the whole page is grey."""
    has_keys: bool = True
    """Whether single keys act; those whose speech or reading software sends keys switch them off."""
    starred: Annotated[list[Name], Field(max_length=50)] = []
    """Queues that come first in the list of queues."""
    filters: Annotated[list[SavedFilter], Field(max_length=20)] = []


def preferences_of(connection: Connection, person: str) -> Preferences:
    """Return a person's preferences; what cannot be read, or is of another release, counts as not said."""
    values = connection.execute(select(preferences.c["values"]).where(preferences.c.person == person)).scalar()
    known = {name: value for name, value in (values or {}).items() if name in Preferences.model_fields}
    try:
        return Preferences.model_validate(known)
    except ValidationError:
        return Preferences()


def prefer(connection: Connection, person: str, changes: dict[str, Any]) -> Preferences:
    """Change some of a person's preferences and return them all.

    Args:
        connection: Of `Store.writing`.
        person: Whose.
        changes: By name.

    Raises:
        WishRefused: a name is none, or a value is none of its values.
    """
    try:
        wanted = Preferences.model_validate(preferences_of(connection, person).model_dump() | changes)
    except ValidationError:
        raise WishRefused(
            "preferences",
            "expected some of text (blurred, collapsed or open), greyscale and has_keys (each true or false), starred "
            "(at most 50 queues) and filters (at most 20, each of a category and perhaps a policy)",
        ) from None
    connection.execute(delete(preferences).where(preferences.c.person == person))
    connection.execute(insert(preferences).values({"person": person, "values": wanted.model_dump()}))
    return wanted
