"""The commands of examples/README.md, so that what is tested is what a newcomer types."""

import re
import textwrap
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "examples" / "README.md"


class Commands(NamedTuple):
    """What a section says: lines that build a program, and the one that runs it."""

    build: list[str]
    run: str


def commands(heading: str) -> Commands:
    """Return the commands of the first indented block under this heading; the last line of it runs the program."""
    text = README.read_text("utf-8")
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, f"{README.name} has no section {heading}"
    block = re.search(r"(?:^    .+\n)+", section[1], re.MULTILINE)
    assert block, f"section {heading} has no commands"
    *build, run = textwrap.dedent(block[0]).splitlines()
    return Commands(build, run)
