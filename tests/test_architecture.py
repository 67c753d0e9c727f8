"""docs/architecture.md shows the code as it is: its diagram and its walk are made again and compared."""

import re

from tests.architecture import PAGE, ROOT, drawn, written
from tests.walk import traced

_MAX_ON_THE_WAY = 15


def test_the_diagram_is_what_the_imports_make() -> None:
    """`python -m tests.architecture` writes it anew."""
    assert written() == drawn()


def test_the_walk_names_the_files_that_a_batch_passes_through() -> None:
    """Complete, and nothing besides: the hall's files and what they call, then what stands behind those."""
    calls = traced()
    on_the_way = {file for file, callers in calls.items() if any(map(_is_hall, [file, *callers]))}
    first, second = _tables()
    assert first == on_the_way
    assert second == calls.keys() - on_the_way
    assert len(first) <= _MAX_ON_THE_WAY


def test_the_map_names_every_package_and_every_room_of_the_worker() -> None:
    """A reader finds a folder's purpose here, and not by opening it."""
    page = PAGE.read_text("utf-8")
    packages = [path.parent for path in ROOT.glob("[a-z]*/__init__.py") if path.parent.name != "tests"]
    rooms = [path.parent for path in ROOT.glob("worker/*/__init__.py")]
    missing = [str(path.relative_to(ROOT)) for path in packages + rooms if f"`{path.relative_to(ROOT)}/`" not in page]
    assert not missing


def _is_hall(file: str) -> bool:
    return file.startswith("worker/") and file.count("/") == 1


def _tables() -> tuple[set[str], set[str]]:
    """Return the files of the walk's two tables."""
    _, _, walk = PAGE.read_text("utf-8").partition("## From poll to commit\n")
    tables = re.split(r"^\| file \|.*\n", walk, flags=re.MULTILINE)[1:]
    named = [re.findall(r"^\| `(worker/[\w/]+\.py)` \|", table, re.MULTILINE) for table in tables]
    assert all(len(files) == len(set(files)) for files in named)
    first, second = map(set, named)
    return first, second
