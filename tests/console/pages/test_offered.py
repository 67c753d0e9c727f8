"""What `CONSOLE_PAGES__BUNDLES` names is looked at when the settings are checked, and when the port starts."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from console.pages.try_it.offered import check_offered, without_refused
from console.settings.console import ConsoleSettings, PagesSettings
from model import BundleError
from schemas import shipped_taxonomy
from tests.command_line import run_main
from tests.console.process import Start
from tests.console.test_process import ask
from tests.tiny_bundle import tiny_bundle

DESCRIPTIONS = Path("console/pages/try_it/classifiers/cat-and-dog.toml")


def _settings(*paths: Path, api_only: bool = False) -> ConsoleSettings:
    return ConsoleSettings(pages=PagesSettings(bundles=",".join(map(str, paths))), api_only=api_only)


@pytest.fixture
def bad(tmp_path: Path) -> list[Path]:
    """Return paths of which each is refused for a reason of its own."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.toml").write_text("not toml [")
    (tmp_path / "registry").mkdir()
    (tmp_path / "registry" / "registry.json").write_text("{")
    return [tmp_path / name for name in ("gone", "gone.toml", "empty", "broken.toml", "registry")]


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    """Return paths that are taken."""
    return [tiny_bundle(tmp_path / "good", shipped_taxonomy("toxicity")), DESCRIPTIONS]


def test_each_that_cannot_be_read_is_named(good: list[Path], bad: list[Path]) -> None:
    """All at once, so that one check is enough."""
    check_offered(_settings(*good))
    with pytest.raises(BundleError) as refused:
        check_offered(_settings(*bad, *good))
    lines = [line for line in str(refused.value).splitlines() if line.startswith("CONSOLE_PAGES__BUNDLES names ")]
    assert [line.split()[2] for line in lines] == [f"{path}:" for path in bad]


def test_without_pages_nothing_is_read(bad: list[Path]) -> None:
    """The API does not need them."""
    settings = _settings(*bad, api_only=True)
    check_offered(settings)
    assert without_refused(settings) is settings


def test_a_start_warns_of_each_and_keeps_the_others(good: list[Path], bad: list[Path]) -> None:
    """In their order."""
    with capture_logs() as lines:
        kept = without_refused(_settings(bad[0], *good, *bad[1:]))
    assert kept.pages.bundle_paths == good
    assert [line["path"] for line in lines] == list(map(str, bad))
    assert {(line["event"], line["log_level"]) for line in lines} == {("bundle_left_out", "warning")}


def test_check_config_ends_with_3(tmp_path: Path) -> None:
    """As for the served bundle."""
    done = run_main("console", "check-config", environment={"CONSOLE_PAGES__BUNDLES": str(tmp_path / "gone")})
    assert (done.returncode, f"CONSOLE_PAGES__BUNDLES names {tmp_path}/gone" in done.stderr.decode()) == (3, True)


def test_a_port_serves_without_what_it_cannot_read(start: Start, tmp_path: Path) -> None:
    """The page offers the rest."""
    process = start(CONSOLE_PAGES__BUNDLES=f"{tmp_path}/gone,{DESCRIPTIONS}")
    status, body = ask(process.port(), "GET", "/try/bundles")
    assert (status, body) == (200, b'{"names":["served","cat-and-dog","cat-and-dog (2)"]}')
    assert '"event": "bundle_left_out"' in process.errors()
