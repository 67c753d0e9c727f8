"""The tab Figures: how often answers are right, and who sees whose."""

from typing import Any, Final

from playwright.sync_api import expect
from sqlalchemy import insert, select

from console.store.store import now_ms
from console.store.tables import access_log, answers
from tests.console.pages.review.conftest import Desk, OpenAs
from tests.console.pages.review.rows import put, user

_DONE: Final[dict[str, Any]] = {"state": "done", "n_answers": 1}


def _said(desk: Desk, item_id: int, reviewer: str, outcome: str, category: str | None = None) -> None:
    row: dict[str, Any] = {"item_id": item_id, "reviewer": reviewer, "outcome": outcome, "category": category}
    rest = {"decision_id": f"{item_id:016x}{reviewer:>016}", "at_ms": now_ms(), "took_ms": 4_000}
    with desk.store.writing() as connection:
        connection.execute(insert(answers).values(**row, **rest, is_blind=True, is_final=False))


def _fill(desk: Desk) -> None:
    drawn = [{"name": "default", "version": "2", "decision": "block", "decided_by": "model", "inclusion": 0.1}]
    for n in range(20):
        sample = put(desk.store, desk.texts, n, user(str(n)), kind="sample", category="M", policies=drawn, **_DONE)
        _said(desk, sample, "ben", "block" if n else "allow")
    for n in range(20, 26):
        pair = put(desk.store, desk.texts, n, user(str(n)), category="D", state="done", n_wanted=2, n_answers=2)
        _said(desk, pair, "ada", "allow", "D")
        _said(desk, pair, "ben", "allow" if n % 2 else "block")
    for n in range(30, 34):
        known = {"gold_decision": "block", "gold_category": "M", "meant_for": "ada"}
        gold = put(desk.store, desk.texts, n, user(str(n)), kind="gold", category="M", **known, **_DONE)
        _said(desk, gold, "ada", "block" if n > 30 else "allow")


def test_decisions_are_downloaded_from_the_page(desk: Desk, open_as: OpenAs) -> None:
    """One's own under Mine, everybody's for an admin; who took which stands in the log."""
    _fill(desk)
    page = open_as(desk)
    page.get_by_role("tab", name="Mine").click()
    with page.expect_download() as own:
        page.get_by_role("link", name="CSV").click()
    lines = own.value.path().read_text().splitlines()
    assert own.value.suggested_filename == "decisions.csv"
    assert len(lines) == 1 + 10
    assert all("ada" in line for line in lines[1:])
    assert desk.ask("ada", "/review/export/everybody").status == 403
    assert desk.ask("ada", "/review/export?format=xml").status == 400
    admin = open_as(desk, "ada.min")
    admin.get_by_role("tab", name="Figures").click()
    with admin.expect_download() as everybody:
        admin.locator("#figures").get_by_role("link", name="JSON lines").click()
    assert len(everybody.value.path().read_text().splitlines()) == 36
    with desk.store.reading() as connection:
        wanted = select(access_log.c.actor).where(access_log.c.action == "export").order_by(access_log.c.at_ms)
        assert connection.execute(wanted).scalars().all() == ["ada", "ada.min"]


def test_everybody_sees_the_automation_and_themselves(desk: Desk, open_as: OpenAs) -> None:
    """Precision with its interval, agreement, own accuracy; nobody else's row, not even in what is sent."""
    _fill(desk)
    page = open_as(desk, "ada")
    page.get_by_role("tab", name="Figures").click()
    trusted = page.get_by_role("region", name="May the automation be trusted?")
    expect(trusted).to_contain_text("default: block")
    expect(trusted).to_contain_text("95.0 %")
    expect(trusted).to_contain_text("20 of 20")
    own = page.get_by_role("region", name="You")
    expect(own).to_contain_text("ada (you)")
    expect(own).to_contain_text("75.0 %")
    expect(own).not_to_contain_text("ben")
    expect(page.get_by_role("region", name="Do reviewers agree?")).to_contain_text("50.0 %")
    expect(page.get_by_role("region", name="Do they agree with the model?")).to_contain_text("6 of 6")
    assert b'"ben"' not in desk.ask("ada", "/review/figures").raw
    page.get_by_label("Days").select_option("7")
    expect(page.get_by_label("Days")).to_have_value("7")
    assert desk.ask("ada", "/review/figures?days=0").status == 400


def test_an_admin_sees_every_reviewer_and_each_pair(desk: Desk, open_as: OpenAs) -> None:
    """With names, which are opaque ids."""
    _fill(desk)
    page = open_as(desk, "ada.min")
    page.get_by_role("tab", name="Figures").click()
    expect(page.get_by_role("region", name="Reviewers", exact=True)).to_contain_text("ben")
    expect(page.get_by_role("region", name="Do reviewers agree?")).to_contain_text("ada and ben")
