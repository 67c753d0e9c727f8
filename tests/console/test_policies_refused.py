"""A policy file that cannot be used: the console starts, says so wherever somebody looks, and the others decide."""

from dataclasses import replace
from pathlib import Path

import pytest

from console.judging.loading import load_policies
from console.metrics import Metrics
from console.pages import PAGES
from console.service import Service, service_of
from console.settings.console import ConsoleSettings, ModelSettings
from model import PolicyError
from tests.console.process import Start
from tests.console.roles import bearer, keys_of_roles
from tests.console.server import RunningConsole

GOOD = 'name = "{}"\nversion = "1"\nbanned = ["F"]\nmax_banned_to_safe_rate = 0.05\nmax_safe_to_banned_rate = 0.02\n'
BROKEN = 'name = "half'
ELSEWHERE = GOOD.format("elsewhere").replace('["F"]', '["no such category"]')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one good policy and two files that are none over the bundle."""
    made = tmp_path / "policies"
    made.mkdir()
    for name, text in (("brand.toml", GOOD.format("brand")), ("half.toml", BROKEN), ("other.toml", ELSEWHERE)):
        (made / name).write_text(text)
    return made


def test_a_file_of_the_folder_costs_its_own_policy_alone(service: Service, folder: Path) -> None:
    """As with workers: the others decide."""
    found = load_policies(ModelSettings(policies_path=folder), service.bundle)
    assert [rule.policy.name for rule in found.rules] == ["default", "brand"]
    assert found.refused.keys() == {"half.toml", "other.toml"}


def test_in_place_of_a_default_policy_that_is_none_stands_the_bundles_own(service: Service, folder: Path) -> None:
    """A file that is not there at all is a setting to mend: the start ends."""
    found = load_policies(ModelSettings(policy_path=folder / "half.toml"), service.bundle)
    assert [rule.policy for rule in found.rules] == [service.bundle.default_policy]
    assert "half.toml" in found.refused["half.toml"]
    with pytest.raises(PolicyError, match=r"missing\.toml"):
        load_policies(ModelSettings(policy_path=folder / "missing.toml"), service.bundle)


@pytest.mark.parametrize(
    ("role", "sees"), [("client", ()), ("viewer", ("half.toml",)), ("admin", ("half.toml", "/in/"))]
)
def test_the_pages_say_so_and_name_folders_to_admins_alone(
    service: Service, tmp_path: Path, role: str, sees: tuple[str, ...]
) -> None:
    """Every page has it, since every page shows what policies decide."""
    refused = {"half.toml": "/in/a/folder/half.toml: not TOML"}
    console = RunningConsole(replace(service, policies_refused=refused), keys_of_roles(tmp_path), PAGES)
    try:
        text = console.ask("GET", "/try", headers=bearer(role)).raw.decode()
        ready = console.ask("GET", "/readyz")
    finally:
        console.close()
    assert [one for one in ("half.toml", "/in/") if one in text] == list(sees)
    assert ("A policy file cannot be used" in text) == bool(sees)
    assert (ready.status, ready.raw) == (200, b"ok; policy files that are refused: 1; the log names them\n")


def test_a_metric_counts_the_files(service: Service) -> None:
    """An alert needs one of several consoles."""
    metrics = Metrics()
    classifier = service.judge._classifier
    rules = [classifier.rule]  # type: ignore[attr-defined]
    service_of(classifier, rules, ConsoleSettings(), metrics, refused={"a": "", "b": ""})  # type: ignore[arg-type]
    assert metrics.registry.get_sample_value("moderation_console_policies_refused") == 2


def test_the_process_starts_and_answers_under_the_others(start: Start, folder: Path) -> None:
    """The log has one line for each file."""
    process = start("--policy", str(folder / "half.toml"), CONSOLE_MODEL__POLICIES_PATH=str(folder))
    process.port()
    assert process.errors().count('"policy_refused"') == 2
