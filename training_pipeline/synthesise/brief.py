"""What is to be written: one TOML file with audience, setting, and the lists that the grid is drawn from.

Invariant: a brief that was read fits its taxonomy, and every conversation that it asks for can be written.
"""

import tomllib
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from schemas import Role
from schemas.taxonomy import Taxonomy
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.errors import DataError

MAX_MESSAGES: Final = 40

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
"""One persona, topic or tone."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4_000)]


class Labelled(StrEnum):
    """What of a conversation is of the category."""

    CONVERSATION = "conversation"
    LAST = "last"
    """The last message, whoever wrote it; its author is the user of the row."""
    LAST_USER = "last_user"
    """The last message of a speaker with the role user; others may answer it."""


class Speaker(BaseModel):
    """Who may speak."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\s:<>{}\[\]\"]{1,40}$")]
    role: Role = Role.USER

    @field_validator("role")
    @classmethod
    def _writes(cls, role: Role) -> Role:
        if role not in {Role.USER, Role.ASSISTANT}:
            raise ValueError(f"role {role.value} is no speaker's; expected user or assistant")
        return role


class Length(BaseModel):
    """How long a conversation is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Line
    messages: tuple[int, int] = Field(description="Fewest and most messages.")
    words: tuple[int, int] = Field(description="Fewest and most words of one message; asked for, not enforced.")

    @field_validator("messages", "words")
    @classmethod
    def _rises(cls, pair: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= pair[0] <= pair[1]:
            raise ValueError(f"found {list(pair)}; expected [fewest, most], each at least 1")
        return pair

    @field_validator("messages")
    @classmethod
    def _bounded(cls, pair: tuple[int, int]) -> tuple[int, int]:
        if pair[1] > MAX_MESSAGES:
            raise ValueError(f"found {pair[1]} messages; expected at most {MAX_MESSAGES}")
        return pair


class CategoryBrief(BaseModel):
    """What one category needs besides; its lists stand in place of the general ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instructions: Text = ""
    personas: tuple[Line, ...] = ()
    topics: tuple[Line, ...] = ()
    tones: tuple[Line, ...] = ()


class Writer(Annotator):
    """The model that writes: an annotator with room for a conversation, and some liberty."""

    name: str = Field(default="writer", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    temperature: float | None = Field(default=1.0, ge=0, le=2)
    max_answer_tokens: int = Field(default=2_000, gt=0)


class Judge(Annotator):
    """The model that labels what was written, as annotators do."""

    name: str = Field(default="judge", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class Brief(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audience: Text = Field(min_length=1, description="Who talks.")
    setting: Text = Field(min_length=1, description="Where they talk.")
    languages: tuple[Line, ...] = Field(default=("English",), min_length=1)
    personas: tuple[Line, ...] = Field(min_length=1, description="Who writes the message that counts.")
    topics: tuple[Line, ...] = Field(min_length=1)
    tones: tuple[Line, ...] = Field(min_length=1)
    lengths: tuple[Length, ...] = Field(min_length=1)
    speakers: tuple[Speaker, ...] = (
        Speaker(name="user", role=Role.USER),
        Speaker(name="assistant", role=Role.ASSISTANT),
    )
    speakers_per_chat: tuple[int, int] | None = Field(default=None, description="All speakers where it is left out.")
    labelled: Labelled = Labelled.CONVERSATION
    instructions: Text = ""
    license: Text = Field(default="unknown", description="Of what the writer's provider lets its texts be used for.")
    categories: dict[str, CategoryBrief] = Field(default_factory=dict)
    writer: Writer | None = None
    judge: Judge | None = None

    @field_validator("languages", "personas", "topics", "tones")
    @classmethod
    def _lines_differ(cls, lines: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_repeats(lines)
        return lines

    @model_validator(mode="after")
    def _speakers_fit(self) -> Self:
        _refuse_repeats([speaker.name for speaker in self.speakers])
        _refuse_repeats([length.name for length in self.lengths])
        if not any(speaker.role is Role.USER for speaker in self.speakers):
            raise ValueError("speakers: none has the role user; expected at least one")
        fewest, most = self.n_speakers
        if not 1 <= fewest <= most <= len(self.speakers):
            raise ValueError(
                f"speakers_per_chat: found [{fewest}, {most}] of {len(self.speakers)} speakers; expected [fewest, "
                "most] between 1 and their number"
            )
        return self

    @property
    def n_speakers(self) -> tuple[int, int]:
        """Fewest and most speakers of a conversation."""
        return self.speakers_per_chat or (len(self.speakers), len(self.speakers))

    def of_category(self, code: str) -> CategoryBrief:
        """Return what the brief says of a category; nothing where it is not named."""
        return self.categories.get(code, CategoryBrief())

    def require(self, taxonomy: Taxonomy, *, where: str) -> None:
        """Raise DataError where the brief names a category that the taxonomy has not."""
        for code in self.categories:
            if code not in taxonomy.codes:
                raise DataError(
                    f"{where}: categories.{code}: taxonomy {taxonomy.ref} has no such category"
                    f"{_guess(code, taxonomy.codes)}; expected some of {', '.join(taxonomy.codes)}"
                )


def read_brief(path: Path, taxonomy: Taxonomy) -> Brief:
    """Read a brief for a taxonomy.

    Raises:
        DataError: the file cannot be read, is not of this form, or names another taxonomy's categories.
    """
    try:
        brief = Brief.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected a brief in TOML") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: not TOML ({error}); see data/briefs/community.toml for an example") from error
    except ValidationError as error:
        faults = "\n".join(f"  {line}" for line in _faults(error))
        raise DataError(f"{path}: not a brief:\n{faults}\nsee data/briefs/community.toml for an example") from error
    brief.require(taxonomy, where=str(path))
    return brief


def _faults(error: ValidationError) -> Iterator[str]:
    for fault in error.errors(include_url=False):
        place = ".".join(str(part + 1) if isinstance(part, int) else part for part in fault["loc"]) or "the file"
        if fault["type"] == "extra_forbidden":
            yield f"{place}: no such field{_remedy(fault['loc'])}"
        elif fault["type"] == "missing":
            yield f"{place}: missing; expected {_EXPECTED.get(place, 'a value')}"
        else:
            yield f"{place}: {fault['msg'].removeprefix('Value error, ')}"


_EXPECTED: Final = {
    "audience": "a sentence on who talks",
    "setting": "a sentence on where they talk",
    "personas": "a list of lines, each a kind of person who writes",
    "topics": "a list of lines, each a subject to talk about",
    "tones": "a list of lines, such as friendly or terse",
    "lengths": 'a list of tables, such as { name = "short", messages = [1, 3], words = [3, 25] }',
}

_TABLES: Final[dict[str, type[BaseModel]]] = {
    "speakers": Speaker,
    "lengths": Length,
    "categories": CategoryBrief,
    "writer": Writer,
    "judge": Judge,
}


def _remedy(place: tuple[int | str, ...]) -> str:
    field = str(place[-1])
    if guess := _guess(field, _fields_at(place[:-1])):
        return guess
    if len(place) > 1 and field in Brief.model_fields:
        return "; it belongs to the whole file: move it above the first [table]"
    return f"; expected some of {', '.join(_fields_at(place[:-1]))}"


def _fields_at(place: tuple[int | str, ...]) -> Iterable[str]:
    table = _TABLES.get(str(place[0]), Brief) if place else Brief
    return table.model_fields


def _guess(found: str, known: Iterable[str]) -> str:
    close = get_close_matches(found, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _refuse_repeats(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise ValueError(f"{name!r} stands there twice; expected each once")
        seen.add(name.casefold())
