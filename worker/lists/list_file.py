"""The file of lists: what it may say, and which chats it names. Pure, but for reading it.

A deny list may name anything. An allow list takes `block` away from whatever it names, so it names only what the
platform issues: chat ids and, where the settings say so, user ids. Nobody who writes in a chat must be able to choose
them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from schemas.file_faults import read_toml
from worker.errors import SettingsError
from worker.settings.lists import ListSettings

_LONGEST_ID: Final = 256
LEAST_CHARACTERS: Final = 4
"""Of whatever an allow list names: a shorter prefix names chats that nobody thought of."""
_MOST_SHOWN: Final = 3

Name = Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_ID)]
LongName = Annotated[str, StringConstraints(min_length=LEAST_CHARACTERS, max_length=_LONGEST_ID)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DenyList(_Section):
    """What is always blocked."""

    chat_prefixes: list[Name] = Field(default_factory=list)
    chat_ids: list[Name] = Field(default_factory=list)
    users: list[Name] = Field(default_factory=list)


class AllowList(_Section):
    """What is allowed where neither the floor, a deny list nor a person says otherwise."""

    chat_prefixes: list[LongName] = Field(default_factory=list)
    chat_ids: list[LongName] = Field(default_factory=list)
    users: list[LongName] = Field(default_factory=list)


class _File(_Section):
    deny: DenyList = DenyList()
    allow: AllowList = AllowList()


class Matcher:
    """Finds names in one list.

    Args:
        chat_prefixes: What a listed chat_id begins with.
        chat_ids: Listed chat_ids.
        users: Listed users.
    """

    def __init__(self, chat_prefixes: list[str], chat_ids: list[str], users: list[str]) -> None:
        # `startswith` looks at all of a tuple in C: 1,000 prefixes take some 20 µs.
        self._prefixes = tuple(chat_prefixes)
        self._chat_ids = frozenset(chat_ids)
        self.users = frozenset(users)
        self.n_entries = len(self._prefixes) + len(self._chat_ids) + len(self.users)

    def names(self, chat_id: str, user: str | None) -> bool:
        """Say whether the list names this chat, or its user."""
        return chat_id in self._chat_ids or chat_id.startswith(self._prefixes) or user in self.users


class Lists:
    """Both lists.

    Args:
        deny: What is always blocked.
        allow: What is allowed.
    """

    def __init__(self, deny: Matcher, allow: Matcher) -> None:
        self.deny = deny
        self.allow = allow

    @property
    def names_users(self) -> bool:
        """Whether any list names users, so that events must be asked for theirs."""
        return bool(self.deny.users or self.allow.users)


def read_lists(settings: ListSettings, path: Path) -> Lists:
    """Read the file.

    Args:
        settings: How users are known.
        path: The file.

    Raises:
        SettingsError: it cannot be read, or says something that it may not. The text quotes no name.
    """
    try:
        found = read_toml(path)
        file = _File.model_validate(dict(found.values))
    except ValidationError as error:
        raise SettingsError(f"{path}: {_problems(error)}") from None
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if settings.user_field is None and (file.deny.users or file.allow.users):
        raise SettingsError(
            f"{path}: names users, and no field of an event is known that names one; expected MODERATION_LISTS__"
            "USER_FIELD; set it, or leave `users` out"
        )
    if file.allow.users and settings.user_field_chosen_by != "platform":
        raise SettingsError(
            f"{path}: allow.users names users, who may choose what {settings.user_field} holds; expected ids that the "
            "platform issues; set MODERATION_LISTS__USER_FIELD_CHOSEN_BY=platform where it does, or leave them out"
        )
    return Lists(Matcher(**file.deny.model_dump()), Matcher(**file.allow.model_dump()))


def _problems(error: ValidationError) -> str:
    """Name the first problems by their place; never by the name itself, which may be a person's."""
    problems: list[Mapping[str, Any]] = list(error.errors(include_url=False, include_input=False, include_context=True))
    named = [f"{'.'.join(map(str, one['loc']))}: {_expected(one)}" for one in problems[:_MOST_SHOWN]]
    more = f" (and {len(problems) - len(named)} more)" if len(problems) > len(named) else ""
    return (
        "; ".join(named)
        + more
        + "; expected [deny] and [allow] with lists of texts: chat_prefixes, chat_ids, users; correct the file"
    )


def _expected(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "no such key"
    if problem["type"] == "string_too_short":
        least = problem["ctx"]["min_length"]
        return f"too short; expected at least {least} character{'s' if least > 1 else ''}"
    return str(problem["msg"])
