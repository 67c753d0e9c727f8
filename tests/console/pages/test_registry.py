"""Bundles of the registry that the port serves, and of one that is signed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from console.pages import PAGES
from console.service import Service
from console.settings.console import ModelSettings, PagesSettings
from model import DEFAULT_BUNDLE_PATH, load_bundle
from tests.bundles import key_pair, registry_of_two, serve
from tests.console.server import RunningConsole

StartWith = Callable[..., RunningConsole]


@pytest.fixture
def start_with(service: Service) -> Iterator[StartWith]:
    """Return a function that serves pages under other settings of the model and of the bundles to choose."""
    running: list[RunningConsole] = []

    def start(model: ModelSettings, bundles: str = "") -> RunningConsole:
        settings = service.settings.model_copy(update={"model": model, "pages": PagesSettings(bundles=bundles)})
        bundle = load_bundle(model.path) if model.public_key_file is None else service.bundle
        running.append(RunningConsole(replace(service, settings=settings, bundle=bundle), pages=PAGES))
        return running[-1]

    yield start
    for console in running:
        console.close()


def test_the_registry_that_is_served_offers_what_else_it_has_promoted(start_with: StartWith, tmp_path: Path) -> None:
    """What it serves already is not offered twice; what is promoted while the port runs is there at once."""
    registry_of_two(DEFAULT_BUNDLE_PATH, tmp_path / "registry")
    console = start_with(ModelSettings(path=tmp_path / "registry"))
    assert console.ask("GET", "/try/bundles").json["names"] == ["served", "cat-and-dog"]
    serve(tmp_path / "registry", "m/2")
    assert console.ask("GET", "/try/bundles").json["names"] == ["served", "m/2", "cat-and-dog"]
    assert console.post("/try/bundle", {"bundle": "m/2"}).json["model"]["version"] == "2.0"


def test_where_signatures_are_asked_for_only_signed_bundles_are_loaded(start_with: StartWith, tmp_path: Path) -> None:
    """A folder has none, and a registry's entry may have none."""
    private, public = key_pair(tmp_path / "keys")
    registry = tmp_path / "registry"
    registry_of_two(DEFAULT_BUNDLE_PATH, registry)
    bundles = f"{registry},{registry / 'm' / '2'}"
    console = start_with(ModelSettings(public_key_file=public), bundles)
    assert console.ask("GET", "/try/bundles").json["names"] == ["served", "m/1", "2", "cat-and-dog"]
    for name in ("m/1", "2"):
        assert console.post("/try/bundle", {"bundle": name}).status == 422
    serve(registry, "m/1", sign_key=private)
    assert console.post("/try/bundle", {"bundle": "m/1"}).json["model"]["version"] == "1.0"


def test_a_registry_that_cannot_be_read_takes_nothing_else_with_it(start_with: StartWith, tmp_path: Path) -> None:
    """Its pointer is being written by somebody, or is broken."""
    (tmp_path / "current.json").write_text("{")
    console = start_with(ModelSettings(), str(tmp_path))
    assert console.ask("GET", "/try/bundles").json["names"] == ["served", "cat-and-dog"]
