"""The console's help."""

from pathlib import Path

import pytest

from tests.command_help import WITH_CONSOLE, check_help


@pytest.mark.parametrize("name", WITH_CONSOLE)
def test_help_prints_the_usage_and_does_nothing_else(name: str, tmp_path: Path) -> None:
    """A newcomer tries it first."""
    check_help(name, tmp_path)
