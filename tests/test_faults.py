"""docs/faults.md names a test for every fault of the list, and each test is there."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

_ROOT: Final = Path(__file__).parents[1]
_ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (_ROOT / "docs" / "faults.md").read_text("utf-8").splitlines()
    if re.match(r"\| F\d+ \|", line)
]
_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)` `(test_\w+)`")


def test_every_fault_stands_there_once_in_order() -> None:
    """A fault without a row is one that nobody has shown."""
    assert [row[0] for row in _ROWS] == [f"F{number}" for number in range(1, 48)]


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_each_named_test_is_there(row: list[str]) -> None:
    """A test that was renamed leaves its fault unshown, and the table would still say otherwise."""
    named = _TEST.findall(row[3])
    assert len(named) == len(row[3].split(";")), f"{row[3]}; expected `file` `test` between semicolons"
    for path, name in named:
        tree = ast.parse((_ROOT / path).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, f"{path}::{name}"
