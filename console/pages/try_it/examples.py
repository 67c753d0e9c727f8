"""Conversations to click, by taxonomy: one for each category of those that ship."""

import tomllib
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from schemas import Role, Taxonomy

FOLDER: Final = Path(__file__).parent / "examples"


class ExampleMessage(BaseModel):
    """One message."""

    role: Role
    content: str


class Example(BaseModel):
    """One conversation of a category."""

    category: str
    messages: list[ExampleMessage]


def examples_of(taxonomy: Taxonomy) -> list[Example]:
    """Return the examples for a taxonomy's categories, in their order; none for a taxonomy that is not known here."""
    path = FOLDER / f"{taxonomy.name}.toml"
    # A taxonomy's name is letters, digits, _, . and -.
    if not path.is_file():
        return []
    found = [Example.model_validate(entry) for entry in tomllib.loads(path.read_text("utf-8"))["examples"]]
    return sorted(
        (example for example in found if example.category in taxonomy.columns),
        key=lambda example: taxonomy.columns[example.category],
    )
