"""The fitted table of languages on its way from `fit-languages` into bundles: a folder with the table and its rule."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from model.bundle.manifest import LANGUAGES_NAME
from model.evidence.language import LanguageDetector, LanguageRule, read_detector

DEFAULT_LANGUAGES: Final = Path(__file__).parents[2] / "data" / "languages"
RULE_NAME: Final = "rule.json"


class _Description(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: LanguageRule
    figures: dict[str, Any]


@dataclass(frozen=True)
class Languages:
    """A detector, and how it fares on held-out chats, by language."""

    detector: LanguageDetector
    figures: dict[str, Any]


def write_languages(folder: Path, languages: Languages) -> None:
    """Write the folder; the same table gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LANGUAGES_NAME).write_bytes(languages.detector.to_bytes())
    description = _Description(rule=languages.detector.rule, figures=languages.figures)
    document = orjson.dumps(description.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    (folder / RULE_NAME).write_bytes(document + b"\n")


def read_languages(folder: Path) -> Languages:
    """Read the folder.

    Raises:
        ValueError: a file is missing, or is not what `fit-languages` writes.
    """
    try:
        description = _Description.model_validate_json((folder / RULE_NAME).read_bytes())
        content = (folder / LANGUAGES_NAME).read_bytes()
    except (OSError, ValidationError) as error:
        raise ValueError(f"{folder}: no table of languages ({error}); expected what `fit-languages` writes") from error
    try:
        return Languages(read_detector(content, description.rule), description.figures)
    except ValueError as error:
        raise ValueError(f"{folder / LANGUAGES_NAME}: {error}; fit it again with `fit-languages`") from error
