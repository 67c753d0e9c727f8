"""The page Model in a real Chromium: figures, drift, the registry, and who may change it."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from console.operations import Operations
from console.pages import frame, model
from console.port.keys import Keys
from console.service import Service
from console.store.access import accesses
from console.store.store import now_ms
from model import Bundle, load_bundle
from model.bundle.pointer import write_pointer
from model.bundle.registry import Registry, RegistryEntry, read_registry
from tests.bundles import bundle_variant
from tests.console.operations import operations_at, worker_settings
from tests.console.pages.conftest import OpenPage
from tests.console.pages.figures.counted import counted, hour_of, put
from tests.console.port.test_keys import write
from tests.console.server import RunningConsole

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": "dark"}
HOSTILE_CARD = """# <script>document.title = "1"</script>

Text with `code <b>`, **bold <i>** and [a link](javascript:alert(1)).
- one
  goes on
- two <img src=x onerror=alert(1)>

| figure | value |
| --- | --- |
| <svg onload=alert(1)> | 0.5 |

    indented <pre>
"""

StartModel = Callable[..., RunningConsole]


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    """Return operations with a database, and a pipeline that says at once that it is not there."""
    found = operations_at(f"sqlite:///{tmp_path / 'console.sqlite3'}", worker_settings(request_timeout_s="0.2"))
    yield found
    found.close()


@pytest.fixture
def start_model(service: Service, operations: Operations) -> Iterator[StartModel]:
    """Return a function that serves the page with a bundle and a registry."""
    running: list[RunningConsole] = []

    def start(
        *, registry: Path | None = None, bundle: Bundle | None = None, keys: Keys | None = None
    ) -> RunningConsole:
        path = registry or service.settings.model.path
        named = service.settings.model.model_copy(update={"path": path})
        settings = service.settings.model_copy(update={"model": named, "pipeline": operations.settings.pipeline})
        made = replace(service, settings=settings, operations=operations, at_end=[], bundle=bundle or service.bundle)
        running.append(RunningConsole(made, keys, [frame.add, model.add]))
        return running[-1]

    yield start
    for console in running:
        console.close()


@pytest.fixture
def registry(bundle_path: Path, tmp_path: Path) -> Path:
    """Return a registry that has served two bundles; the second, which passed its gate, is served."""
    root = tmp_path / "registry"
    digests = [
        load_bundle(bundle_variant(bundle_path, root / "m" / version, version=version)).digest for version in ("1", "2")
    ]
    figure = {
        "figure": "banned -> safe",
        "n_chats": 173,
        "current": 0.11,
        "candidate": 0.087,
        "low": -0.05,
        "high": 0.01,
    }
    gate: dict[str, Any] = {
        "against": digests[0],
        "passes": True,
        "n_chats": 770,
        "figures": [{**figure, "rule": "not_worse", "passes": True}],
    }
    first = RegistryEntry(location="m/1", digest=digests[0], set_at=datetime(2026, 11, 1, tzinfo=UTC))
    second = RegistryEntry(location="m/2", digest=digests[1], set_at=datetime(2026, 11, 2, tzinfo=UTC), gate=gate)
    write_pointer(root, Registry(current=second, history=[first]))
    return root


def test_the_figures_of_the_bundle_are_shown(
    open_page: OpenPage, start_model: StartModel, operations: Operations, bundle: Bundle
) -> None:
    """Calibration with its intervals, reliability in words, confusion, drift with its lines, and the card."""
    put(operations.store, counted(bundle, hour_of(now_ms()), 600, only="I"))
    page = open_page(f"{start_model().url}/model")
    expect(page.locator("#calibration")).to_contain_text("1,395")
    expect(page.locator("#calibration")).to_contain_text("accepted 5.00 %; here 17 of 372, 2.68 % to 7.22 %")
    expect(page.locator("#reliability svg")).to_have_count(2)
    assert "found 97 % of" in (page.locator("#reliability svg").first.get_attribute("aria-label") or "")
    assert page.locator("#confusion .right").all_inner_texts()[3] == "136"
    expect(page.locator("#drift .bad")).to_contain_text("Categories: above the alert line of 0.2")
    expect(page.locator("[data-level=alert] h3").first).to_contain_text("Categories drifted")
    expect(page.locator("#drift")).to_contain_text("600 verdicts against 1,395 calibration chats")
    expect(page.locator("#probes")).to_contain_text("holds no probes")
    expect(page.locator("#shadow")).to_contain_text("could not be read")
    expect(page.locator("#card h4", has_text="Intended use")).to_be_visible()
    expect(page.locator("#card td", has_text="GAIR-NLP/auto-j")).to_be_visible()
    page.get_by_label("Verdicts of").select_option("168")
    expect(page.locator("#drift")).to_contain_text("600 verdicts")


def test_probes_of_the_manifest_are_shown(open_page: OpenPage, start_model: StartModel, bundle: Bundle) -> None:
    """Of banned chats the allowed ones are wrong, of safe ones the others."""
    banned = {
        "name": "all",
        "group": "M",
        "not_allowed": {"n": 18, "of": 20},
        "not_allowed_rate": {"value": 0.9, "low": 0.68, "high": 0.99},
    }
    safe = {
        "name": "all",
        "group": "safe",
        "not_allowed": {"n": 5, "of": 50},
        "not_allowed_rate": {"value": 0.1, "low": 0.03, "high": 0.22},
    }
    gap = {
        "where": "template",
        "identities": {"n": 90, "of": 100},
        "neutral": {"n": 95, "of": 100},
        "largest_gap": 0.031,
        "largest_gap_words": "<b>words</b>",
    }
    probes = {"tables": [{"family": "look_alike", "axis": "all", "rows": [banned, safe]}], "gaps": [gap]}
    manifest = bundle.manifest.model_copy(update={"metrics": {**bundle.manifest.metrics, "probes": probes}})
    page = open_page(f"{start_model(bundle=replace(bundle, manifest=manifest)).url}/model")
    rows = page.locator("#probes tbody tr")
    expect(rows.nth(0)).to_contain_text("Look alike, M")
    expect(rows.nth(0)).to_contain_text("10.0 %1.0 % to 32.0 %")
    expect(rows.nth(1)).to_contain_text("10.0 %3.0 % to 22.0 %")
    expect(rows.nth(2)).to_contain_text("in templates2003.1 %<b>words</b>")


def test_it_fits_a_phone_in_the_dark(open_page: OpenPage, start_model: StartModel, registry: Path) -> None:
    """Wide tables scroll by themselves, and the keyboard reaches them."""
    page = open_page(f"{start_model(registry=registry).url}/model", **PHONE)
    expect(page.locator("#card h4").first).to_be_visible()
    expect(page.locator(".history li")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.get_by_role("region", name="Confusion matrix")).to_have_attribute("tabindex", "0")


def test_a_hostile_card_is_text(open_page: OpenPage, start_model: StartModel, bundle: Bundle) -> None:
    """Nothing of it runs, links or loads."""
    card = replace(bundle, card=HOSTILE_CARD)
    page = open_page(f"{start_model(bundle=card).url}/model")
    expect(page.locator("#card h3")).to_have_text('<script>document.title = "1"</script>')
    expect(page.locator("#card p")).to_have_text("Text with code <b>, bold <i> and [a link](javascript:alert(1)).")
    assert page.locator("#card li").all_inner_texts() == ["one goes on", "two <img src=x onerror=alert(1)>"]
    expect(page.locator("#card td").first).to_have_text("<svg onload=alert(1)>")
    expect(page.locator("#card pre")).to_have_text("indented <pre>")
    assert page.locator("#card a, #card img, #card svg, #card script").count() == 0
    expect(page).to_have_title("Model · verdictstream")


def test_an_admin_goes_back_and_forth_by_keyboard(
    open_page: OpenPage, start_model: StartModel, registry: Path, operations: Operations
) -> None:
    """With a reason each time; the log has it, and the history says who."""
    known = read_registry(registry)
    first, second = known.history[0].digest, known.current.digest
    page = open_page(f"{start_model(registry=registry).url}/model")
    expect(page.locator(".history summary")).to_contain_text("Gate passed, against")
    page.get_by_role("button", name="Roll back to this one…").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert read_registry(registry).current.digest == second
    page.keyboard.type("too many blocks")
    page.keyboard.press("Enter")
    expect(page.locator("#registry-said")).to_contain_text(f"Rolled back to {first[:19]}")
    assert read_registry(registry).current.digest == first
    expect(page.locator(".history li").first).to_contain_text("by local: too many blocks")
    expect(page.locator("#registry .bad")).to_contain_text("this console was started with")
    page.get_by_role("button", name="Promote again…").click()
    page.get_by_label("Reason").fill("it was the policy")
    page.get_by_role("button", name="Promote", exact=True).click()
    expect(page.locator("#registry-said")).to_contain_text(f"Promoted {second[:19]}")
    assert read_registry(registry).current.digest == second
    with operations.store.reading() as connection:
        logged = accesses(connection, ["promote", "rollback"])
    assert [(row.actor, row.action, row.detail) for row in logged] == [
        ("local", "promote", {"digest": second, "from": first, "reason": "it was the policy"}),
        ("local", "rollback", {"digest": first, "from": second, "reason": "too many blocks"}),
    ]


def test_what_cannot_be_done_changes_neither_registry_nor_log(
    start_model: StartModel, registry: Path, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another bundle is served by now, no reason, no gate, or the folder is read only."""
    known = read_registry(registry)
    first, second = known.history[0].digest, known.current.digest
    console = start_model(registry=registry)
    asked = {"digest": first, "current": second, "reason": "r"}
    for change, message in [
        ({"reason": " "}, "reason: expected"),
        ({"reason": "x" * 501}, "at most 500"),
        ({"current": first}, "look again"),
        ({"digest": second}, "is served, or never was"),
    ]:
        answer = console.post("/model/serve", {**asked, **change})
        assert (answer.status, answer.error["code"]) == (409, "promotion_refused")
        assert message in answer.error["message"]

    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr("model.bundle.pointer.write_durably", read_only)
        answer = console.post("/model/serve", asked)
    assert answer.error["code"] == "registry_read_only"
    assert "training_pipeline rollback" in answer.error["message"]
    assert read_registry(registry) == known
    with operations.store.reading() as connection:
        assert accesses(connection, ["promote", "rollback"]) == []


def test_a_promotion_without_a_gate_is_for_the_command_line(
    open_page: OpenPage, start_model: StartModel, registry: Path
) -> None:
    """The page says why there is no button."""
    known = read_registry(registry)
    bare = known.current.model_copy(update={"gate": None})
    back = known.history[0].model_copy(update={"action": "rollback"})
    write_pointer(registry, Registry(current=back, history=[known.history[0], bare]))
    console = start_model(registry=registry)
    page = open_page(f"{console.url}/model")
    expect(page.locator("#registry")).to_contain_text(
        "Not to be promoted from here: the registry records no gate for it"
    )
    expect(page.get_by_role("button", name="Promote again…")).to_have_count(0)
    answer = console.post("/model/serve", {"digest": bare.digest, "current": back.digest, "reason": "r"})
    assert answer.status == 409


@pytest.mark.parametrize("role", ["client", "viewer", "reviewer", "admin"])
def test_viewers_see_and_admins_serve(start_model: StartModel, registry: Path, tmp_path: Path, role: str) -> None:
    """An admin whose request is wrong gets a conflict, the others no answer to it."""
    sees, serves = 403 if role == "client" else 200, 409 if role == "admin" else 403
    write(tmp_path / "keys.toml", ("somebody", "vs-the-key"), extra=f'role = "{role}"\n')
    console = start_model(registry=registry, keys=Keys(tmp_path / "keys.toml"))
    bearer = {"authorization": "Bearer vs-the-key"}
    for path in ("/model", "/model/figures", "/model/drift", "/model/registry", "/model/shadow"):
        assert console.ask("GET", path, headers=bearer).status == sees, path
        assert console.ask("GET", path).status == 401
    assert console.post("/model/serve", {}, **bearer).status == serves
    assert console.post("/model/serve", {}).status == 401
    assert console.ask("GET", "/model/drift?hours=1", headers=bearer).status in {400, 403}


def test_a_database_that_is_away_is_said(start_model: StartModel, registry: Path, operations: Operations) -> None:
    """Nothing is changed that cannot be logged."""
    console = start_model(registry=registry)
    known = read_registry(registry)
    with operations.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE access_log")
        connection.exec_driver_sql("DROP TABLE counts")
    assert console.ask("GET", "/model/drift").error["code"] == "store_away"
    asked = {"digest": known.history[0].digest, "current": known.current.digest, "reason": "r"}
    assert console.post("/model/serve", asked).status == 503
    assert read_registry(registry) == known
