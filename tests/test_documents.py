"""What the documents point at exists: a reader in trouble must not be sent to a file that is not there."""

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_DOCUMENTS = sorted(
    path
    for path in _ROOT.rglob("*.md")
    if not any(
        part.startswith(".") or part in {"work", "runs", "node_modules", "target"}
        for part in path.relative_to(_ROOT).parts
    )
)
_FOLDERS = sorted(path.name for path in _ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH_IN_TEXT = re.compile(rf"(?<![\w/.-])((?:{'|'.join(_FOLDERS)})/[\w/.-]*\w\.(?:py|md|ya?ml|toml|json|lua))\b")
_HISTORY = {"CHANGELOG.md", "DECISIONS.md", "EXPERIMENTS.md"}
"""They name files as they were called then."""


@pytest.mark.parametrize("document", _DOCUMENTS, ids=lambda path: str(path.relative_to(_ROOT)))
def test_links_and_paths_in_a_document_exist(document: Path) -> None:
    """Links from the document's folder; paths in the text from the top of the repository."""
    text = document.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in _LINK.findall(text) if "://" not in link]
    missing = [link for link in links if link and not (document.parent / link).exists()]
    if document.name not in _HISTORY:
        # What one of its own commands writes need not be there before.
        named = [path for path in _PATH_IN_TEXT.findall(text) if f"> {path}" not in text]
        missing += [path for path in named if not (_ROOT / path).exists()]
    assert not missing


def test_decisions_are_numbered_in_order() -> None:
    """Other documents cite the numbers; two branches that append an entry each take the same one."""
    headings = re.findall(r"^## (\d+)\. (.+)$", (_ROOT / "DECISIONS.md").read_text("utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in headings] == list(range(1, len(headings) + 1))
    assert len({title for _, title in headings}) == len(headings)


def test_decisions_that_documents_cite_exist() -> None:
    """A number past the last entry was given on a branch, and changed by its merge."""
    n_entries = len(re.findall(r"^## \d+\. ", (_ROOT / "DECISIONS.md").read_text("utf-8"), re.MULTILINE))
    for document in _DOCUMENTS:
        cited = re.findall(r"DECISIONS(?:\.md)?\]?(?:\([^)]*\))?\)?,? (\d+)", document.read_text("utf-8"))
        assert all(int(number) <= n_entries for number in cited), document.name
