"""How a command ends."""

from collections.abc import Mapping
from typing import Any, Final

import typer

EXIT_NOT_TAKEN: Final = 3
EXIT_WRONG_ANSWERS: Final = 4


def exit_on_wrong_answers(result: Mapping[str, Any]) -> None:
    """End the command where events were lost, duplicated or dead-lettered."""
    if result["n_lost"] or result["n_duplicated"] or result["n_dead_letters"]:
        raise typer.Exit(EXIT_WRONG_ANSWERS)
