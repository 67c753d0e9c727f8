"""Every code that an answer may have stands in the table of docs/http.md, beside its status."""

import ast
import re
from http import HTTPStatus
from pathlib import Path

from tests.console.server import RunningConsole

DOCS = Path("docs/http.md")


def _raised() -> set[tuple[int, str]]:
    """Return status and code of every problem that the source names; Google's form has no code."""
    found = set()
    for path in Path("console").rglob("*.py"):
        if "perspective" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="Problem"), args=[ast.Attribute(attr=status), ast.Constant(value=str(code)), *_]
                ):
                    found.add((HTTPStatus[status].value, code))
    return found


def _told() -> set[tuple[int, str]]:
    section = DOCS.read_text("utf-8").partition("## Problems")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d{3})[^|]*\|([^|]*)\|", section, re.MULTILINE)
    return {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}


def test_every_code_is_in_the_table(console: RunningConsole) -> None:
    """Those of the router are asked for."""
    raised = _raised()
    assert len(raised) > 15, "the source is read wrongly"
    for method, path in (("GET", "/nothing"), ("DELETE", "/v1/classify")):
        answer = console.ask(method, path)
        raised.add((answer.status, answer.error["code"]))
    assert sorted(raised - _told()) == []
