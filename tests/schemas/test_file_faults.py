"""Where a key stands in a TOML file, and which name was meant."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.file_faults import meant, parse_toml, read_toml, shown_name

_FILE = '''# comment
top = 1

[kafka]
text = """
[redis]
url = 5
"""

"a.b" = 3
list = [
  1,
]
c.d = 1
[redis]  # comment
url = ""
[[many]]
key = 1
[[many]]
key = 2
[deep.er]
z = {y = 1}
'''


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_each_key_has_its_line(tmp_path: Path, line_end: str, mark: str) -> None:
    """A line inside a text of several lines is no key, and of a name that comes twice the first counts."""
    path = tmp_path / "a.toml"
    path.write_text(mark + _FILE, encoding="utf-8", newline=line_end)
    file = read_toml(path)
    expected = {
        ("top",): 2,
        ("kafka",): 4,
        ("kafka", "text"): 5,
        ("kafka", "a.b"): 10,
        ("kafka", "list"): 11,
        ("kafka", "c", "d"): 14,
        ("redis",): 15,
        ("redis", "url"): 16,
        ("many",): 17,
        ("deep", "er"): 21,
        ("deep", "er", "z", "y"): 22,
    }
    assert {key: file.lines[key] for key in expected} == expected
    assert file.place(("redis", "url")) == f"{path}:16"
    assert file.place(("redis", "nowhere")) == str(path)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.integers(), min_size=1), st.integers(0, 3))
def test_lines_are_those_of_the_text(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, int], gap: int) -> None:
    """Whatever the keys."""
    path = tmp_path_factory.getbasetemp() / "lines.toml"
    lines = [line for name, value in keys.items() for line in [*[""] * gap, f"{name} = {value}"]]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert read_toml(path).lines == {(name,): (gap + 1) * (i + 1) for i, name in enumerate(keys)}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        (b"\nhunter2-canary", "a.toml:2"),
        (b'y = 1\nx = """hunter2-canary\n\n', "a.toml:2"),
        (b"[kafka]\n[kafka]", "a.toml:2"),
        (b"x = " + b"1" * 5_000, "a.toml:1"),
        (b"\xff\xfehunter2-canary", "not UTF-8 at byte 0"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_toml_is_refused_by_file_and_line_and_not_quoted(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    """A path may name another file than was meant, one of secrets among them."""
    path = tmp_path / "a.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.toml.*: not a readable TOML file") as caught:
        read_toml(path)
    assert complaint in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_name_is_suggested_where_one_is_near() -> None:
    """And none where none is."""
    assert meant("group_idd", ["group_id", "url"]) == "; did you mean group_id?"
    assert meant("xyz", ["group_id", "url"]) == ""


def test_a_name_is_shown_on_one_line_and_cut() -> None:
    """A key may be any text."""
    assert shown_name("a\nb") == "a\\nb"
    assert shown_name("x" * 100) == "x" * 64 + "…"


@pytest.mark.timeout(20)
def test_a_statement_of_thousands_of_lines_is_read_without_its_lines() -> None:
    """The worker looks at its policy again and again; line by line, this one took half a minute of CPU."""
    file = parse_toml(Path("policy.toml"), b"first = 1\nbanned = [\n" + b'"J",\n' * 3_000 + b"]\n")
    assert len(file.values["banned"]) == 3_000
    assert (file.place(("first",)), file.place(("banned",))) == ("policy.toml:1", "policy.toml")
    with pytest.raises(ValueError, match=r"policy\.toml:2: not a readable TOML file"):
        parse_toml(Path("policy.toml"), b'first = 1\ntext = """\n' + b"x\n" * 10_000)
