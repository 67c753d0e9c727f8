"""The taxonomy: the categories of one classifier, as data.

A bundle carries its taxonomy whole, so that a worker serves any. Those that ship are TOML files in `taxonomies/`.
"""

import tomllib
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_serializer,
    field_validator,
)

from schemas.dotted_version import DottedVersion
from schemas.taxonomy_faults import faults_of

MIN_CATEGORIES: Final = 2
MAX_CATEGORIES: Final = 256
MAX_DESCRIPTION_CHARACTERS: Final = 8_000
SHIPPED_FOLDER: Final = Path(__file__).parent / "taxonomies"

CODE_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

CategoryCode = Annotated[str, StringConstraints(pattern=CODE_PATTERN)]
"""Stands in verdicts, metrics, policies and training data."""

TaxonomyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]

IabContentId = Annotated[str, StringConstraints(pattern=r"^(?:[1-9][0-9]{0,3}|[A-Za-z0-9]{6})$")]
"""An id of the IAB Tech Lab's Content Taxonomy 3.0 or 3.1: a number, or six letters and digits."""


class TaxonomyError(ValueError):
    """A taxonomy file is refused; the message says where, what was expected and what to do."""


class TaxonomyRef(BaseModel):
    """Which taxonomy a document speaks of."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: TaxonomyName
    version: DottedVersion

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class TaxonomyCategory(BaseModel):
    """One category."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: CategoryCode
    name: str = Field(min_length=1, max_length=128, description="For people.")
    description: str = Field(
        default="",
        max_length=MAX_DESCRIPTION_CHARACTERS,
        description="What belongs to it: annotators read it, and classifiers learn from it.",
    )
    banned: bool = Field(default=False, description="Whether the default policy bans it.")
    perspective: str | None = Field(
        default=None,
        pattern=r"^[A-Z][A-Z0-9_]{0,63}$",
        description="Attribute of Perspective's API that it answers; only where both mean the same. Several categories "
        "may share one.",
    )
    iab_content: tuple[IabContentId, ...] = Field(
        default=(),
        max_length=8,
        exclude=True,
        description="Ids of the IAB Tech Lab's Content Taxonomy 3 that every chat of this category is about; only "
        "where the fit is strong. Bids carry them (`schemas.exchange`). Bundles and digests do not.",
    )

    @field_validator("iab_content")
    @classmethod
    def _ids_differ(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(ids)) < len(ids):
            raise ValueError("names an id twice; expected each once; remove one of them")
        return ids

    def __eq__(self, other: object) -> bool:
        """Say whether both are the same category. What another list calls it makes it no other one."""
        return isinstance(other, TaxonomyCategory) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def _said(self) -> tuple[object, ...]:
        return tuple(value for name, value in self if name != "iab_content")


class Taxonomy(BaseModel):
    """Categories in the order of the model's output columns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: TaxonomyName
    version: DottedVersion
    subject: str = Field(default="", max_length=1_000, description="What of a conversation is classified.")
    rules: str = Field(default="", max_length=32_000, description="How annotators decide between categories.")
    categories: tuple[TaxonomyCategory, ...] = Field(min_length=MIN_CATEGORIES, max_length=MAX_CATEGORIES)
    floor: frozenset[CategoryCode] = Field(
        default=frozenset(), description="Codes of the categories that no policy may allow, one that bans nothing too."
    )

    @field_validator("floor")
    @classmethod
    def _floor_is_of_it(cls, floor: frozenset[str], info: ValidationInfo) -> frozenset[str]:
        codes = {category.code for category in info.data.get("categories", ())}
        if codes and (others := sorted(floor - codes)):
            raise ValueError(f"names {others}, which are none of its categories; expected some of their codes")
        if codes and codes == floor:
            raise ValueError("names every category, so that no ad could ever be shown; leave at least one out")
        return floor

    @field_serializer("floor", when_used="json")
    def _in_code_order(self, floor: frozenset[str]) -> list[str]:
        """A set has another order in every process; a bundle's digest must not."""
        return sorted(floor)

    @field_validator("categories")
    @classmethod
    def _codes_differ(cls, categories: tuple[TaxonomyCategory, ...]) -> tuple[TaxonomyCategory, ...]:
        seen: dict[str, str] = {}
        for category in categories:
            folded = category.code.casefold()
            if folded in seen:
                raise ValueError(
                    f"codes {seen[folded]!r} and {category.code!r} differ in nothing but case, if at all; "
                    "expected each code once; rename one of them"
                )
            seen[folded] = category.code
        if all(category.banned for category in categories):
            raise ValueError("every category is banned, so that no ad could ever be shown; leave at least one out")
        return categories

    @property
    def ref(self) -> TaxonomyRef:
        """Name and version as they stand in every verdict."""
        return TaxonomyRef(name=self.name, version=self.version)

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Codes in the order of the model's output columns."""
        return tuple(category.code for category in self.categories)

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Names by code."""
        return MappingProxyType({category.code: category.name for category in self.categories})

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """Output columns by code."""
        return MappingProxyType({code: column for column, code in enumerate(self.codes)})

    @cached_property
    def banned(self) -> frozenset[str]:
        """Codes that the default policy bans; empty where the taxonomy bans nothing."""
        return frozenset(category.code for category in self.categories if category.banned)

    @cached_property
    def iab_content(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the IAB Tech Lab's Content Taxonomy by code; empty where the fit is weak."""
        return MappingProxyType({category.code: category.iab_content for category in self.categories})

    def document(self) -> dict[str, object]:
        """Return all that its file says, `iab_content` too, which `model_dump` leaves out."""
        categories = [
            {**category.model_dump(mode="json"), "iab_content": [*category.iab_content]} for category in self.categories
        ]
        return {**self.model_dump(mode="json"), "categories": categories}

    def require(self, codes: frozenset[str], *, of: str) -> None:
        """Raise TaxonomyError unless all codes are of this taxonomy.

        Args:
            codes: Codes that something names.
            of: What names them, for the message.
        """
        if unknown := sorted(codes - set(self.codes)):
            raise TaxonomyError(
                f"{of} names {', '.join(map(repr, unknown))}; taxonomy {self.ref} has {', '.join(self.codes)}; "
                "name its categories, or a policy of the other taxonomy"
            )

    @classmethod
    def parse(cls, text: str, *, where: str) -> Self:
        """Read a taxonomy from TOML.

        Raises:
            TaxonomyError: it is not TOML or not a taxonomy; one line for each fault.
        """
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TaxonomyError(f"{where}: not TOML ({error}); expected name, version and [[categories]]") from error
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            faults = faults_of(document, cls, TaxonomyCategory, (MIN_CATEGORIES, MAX_CATEGORIES))
            listed = "\n".join(f"  {fault}" for fault in faults or [str(error)])
            raise TaxonomyError(f"{where}: not a taxonomy:\n{listed}") from error


def load_taxonomy(path: Path) -> Taxonomy:
    """Read a taxonomy file.

    Raises:
        TaxonomyError: it cannot be read or is refused.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TaxonomyError(f"{path}: cannot be read ({error.strerror}); expected a TOML file") from error
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    return Taxonomy.parse(text, where=str(path))


def shipped_names() -> list[str]:
    """Return the names of the taxonomies that ship with the package."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


@cache
def shipped_taxonomy(name: str) -> Taxonomy:
    """Return a taxonomy that ships with the package.

    Raises:
        TaxonomyError: there is none of that name.
    """
    if name not in shipped_names():
        raise TaxonomyError(f"no taxonomy {name!r} ships; expected one of {', '.join(shipped_names())}, or a file")
    return load_taxonomy(SHIPPED_FOLDER / f"{name}.toml")


def taxonomy_of(name_or_path: str) -> Taxonomy:
    """Return a shipped taxonomy by name, or the one in a file.

    Raises:
        TaxonomyError: there is neither, or the file is refused.
    """
    if name_or_path in shipped_names():
        return shipped_taxonomy(name_or_path)
    path = Path(name_or_path)
    if path.exists() or path.suffix == ".toml":
        return load_taxonomy(path)
    raise TaxonomyError(
        f"taxonomy {name_or_path!r}: neither a file nor one of {', '.join(shipped_names())}; give one of the two"
    )


CHAT_13: Final = shipped_taxonomy("chat-13")
"""The taxonomy of the shipped bundle, and of every bundle of format 1."""
