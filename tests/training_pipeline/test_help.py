"""The help of commands that need the training extra."""

from pathlib import Path

import pytest

from tests.command_help import WITH_TRAINING, check_help


@pytest.mark.parametrize("name", WITH_TRAINING)
def test_help_prints_the_usage_and_does_nothing_else(name: str, tmp_path: Path) -> None:
    """A newcomer tries it first; one of them wrote a model into a file called --help."""
    check_help(name, tmp_path)
