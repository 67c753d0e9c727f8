"""Every test has a kind, and no `unit` test needs what a unit test must not need."""

from pathlib import Path, PurePosixPath

import pytest

from tests.markers import KINDS_BY_PATH, kinds_of


def _kinds(path: str, *marked: str, fixtures: tuple[str, ...] = ()) -> set[str]:
    return set(kinds_of(PurePosixPath(path), marked, fixtures))


@pytest.mark.parametrize(
    ("path", "marked", "fixtures", "kinds"),
    [
        ("model/cascade/test_a.py", (), (), {"unit"}),
        ("model/test_a.py", ("timeout",), ("tmp_path",), {"unit"}),
        ("deploy/test_a.py", (), ("helm",), {"services"}),
        ("worker/kafka/test_a.py", ("services",), (), {"services"}),
        ("loadtest/test_a.py", ("training",), (), {"training"}),
        ("training_pipeline/data/test_a.py", ("services",), (), {"training", "services"}),
        ("integration/test_a.py", ("chaos",), (), {"services", "chaos"}),
        ("integration/test_crash.py", ("services",), ("stack",), {"services", "chaos"}),
        ("integration/test_endless_inference.py", (), (), {"services", "training", "chaos"}),
        ("elsewhere/test_a.py", ("unit",), (), {"unit"}),
        ("test_a.py", (), (), {"unit"}),
    ],
)
def test_the_kind_comes_from_the_folder_the_fixtures_and_the_hand(
    path: str, marked: tuple[str, ...], fixtures: tuple[str, ...], kinds: set[str]
) -> None:
    """The nearest entry of the table counts."""
    assert _kinds(path, *marked, fixtures=fixtures) == kinds


def test_a_test_of_no_kind_is_refused_with_the_remedy() -> None:
    """A new folder would else be left out of every target that chooses by kind."""
    with pytest.raises(ValueError, match=r"no kind; expected one of .*tests/markers\.py"):
        _kinds("elsewhere/test_a.py", "timeout")


@pytest.mark.parametrize(
    ("path", "marked", "fixtures"),
    [
        ("model/test_a.py", ("unit", "services"), ()),
        ("training_pipeline/test_a.py", ("unit",), ()),
        ("deploy/test_a.py", ("unit",), ("stack",)),
    ],
)
def test_a_unit_test_is_nothing_else(path: str, marked: tuple[str, ...], fixtures: tuple[str, ...]) -> None:
    """`make test-unit` runs where neither a service nor the training extra is."""
    with pytest.raises(ValueError, match="`unit` and also"):
        _kinds(path, *marked, fixtures=fixtures)


@pytest.mark.parametrize("path", KINDS_BY_PATH)
def test_the_table_names_what_is_there(path: str) -> None:
    """A file that was renamed would fall back to what its folder is."""
    assert any(Path(__file__).parent.glob(path))
