"""What a person sees of a run."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from deploy.demo.account import VerdictSeen
from deploy.demo.events import Phase
from deploy.demo.live_table import LiveTable, printable
from deploy.demo.model_in_use import ModelInUse
from deploy.demo.report import print_problems, print_summary
from deploy.demo.session import worker_environment
from deploy.demo.summary import Durations, summarise
from schemas import CHAT_13, Decision, Taxonomy, category_label
from schemas.taxonomy import TaxonomyCategory
from tests.deploy.demo.records import MODEL, dead_letter, new_account, place, publish, verdict

ESCAPE = "\x1b]0;owned\x07[bold]"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_an_id_cannot_command_the_terminal(is_terminal: bool) -> None:
    """Chat ids come from a file: an escape sequence in one must be shown, not obeyed."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, color_system=None, width=150)
    hostile = VerdictSeen(
        place(0),
        1.0,
        ESCAPE,
        category_label("A", CHAT_13),
        Decision.ALLOW,
        0.1,
        cache_hit=False,
        decided_at=datetime.now(UTC),
    )
    with LiveTable(console, n_events=2) as table:
        table.add(hostile)
        table.add(dead_letter(1))
        table.stage("backlog")
    assert "\x1b]0;owned" not in output.getvalue()
    assert ("?]0;owned?[bold]" in output.getvalue()) is is_terminal


def test_a_long_id_is_cut() -> None:
    """256 characters would push the decision off the screen."""
    assert len(printable("x" * 256)) < 32


def test_the_summary_shows_numbers_where_there_are_some_and_says_where_there_are_none() -> None:
    """A short file may have no cached event and no labels."""
    ledger = new_account()
    publish(ledger, 0, phase=Phase.PACED)
    ledger.answer(verdict(0, latency_ms=33.0))
    output = io.StringIO()
    print_summary(Console(file=output, width=150), summarise(ledger, Durations(5.0, 2.0, 1.0, 1.0), MODEL), MODEL, None)
    assert "p50 33 ms, p99 33 ms" in output.getvalue()
    assert "no such event" in output.getvalue()
    assert "labels" not in output.getvalue()


def test_a_large_taxonomy_is_shown_by_what_was_found_of_it() -> None:
    """256 rows, most of them empty, would push everything else off the screen."""
    categories = tuple(TaxonomyCategory(code=f"c-{i}", name=f"[bold]kind {i}") for i in range(256))
    large = ModelInUse(Taxonomy(name="large", version="2", categories=categories), frozenset({"c-7"}))
    ledger = new_account()
    publish(ledger, 0)
    ledger.answer(replace(verdict(0), category=category_label("c-7", large.taxonomy)))
    output = io.StringIO()
    summary = summarise(ledger, Durations(5.0, 2.0, 1.0, 1.0), large)
    print_summary(Console(file=output, width=150), summary, large, None)
    shown = output.getvalue()
    assert "Verdicts by category of large 2" in shown
    assert "c-7 [bold]kind 7 (banned)" in shown
    assert "255 other categories" in shown
    assert "c-8" not in shown


def test_the_first_records_that_do_not_balance_are_named() -> None:
    """A topic, a partition and an offset can be looked up; a count cannot."""
    ledger = new_account()
    for offset in range(12):
        publish(ledger, offset)
    output = io.StringIO()
    print_problems(Console(file=output, soft_wrap=True), ledger.problems())
    assert output.getvalue().startswith("error: 12 records published but never answered: chat-events[0]@0, ")
    assert output.getvalue().endswith("chat-events[0]@9 and 2 more\n")


def test_of_the_worker_settings_in_the_environment_only_the_model_reaches_the_demos_worker() -> None:
    """A shell that is set up for a real cluster must not lead the demo's worker there."""
    environment = worker_environment(
        {
            "PATH": "/bin",
            "MODERATION_MODEL__PATH": "bundle",
            "MODERATION_KAFKA__BOOTSTRAP_SERVERS": "production:9092",
            "moderation_kafka__group_id": "production",
        },
        {"MODERATION_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"},
    )
    assert environment["PATH"] == "/bin"
    assert {name: value for name, value in environment.items() if name.upper().startswith("MODERATION_")} == {
        "MODERATION_MODEL__PATH": "bundle",
        "MODERATION_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
