"""Agreement, accuracy, pace and precision, by hand and against the definitions' own examples."""

from typing import Any

import pytest

from console.review.agreement import agreement_ratio, cohen_kappa, fleiss_kappa
from console.review.figure_rows import judged_items
from console.review.figures import Drawn, JudgedItem, Said, figures_of, items_an_hour
from console.review.item import Wish
from console.store.store import Store
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import NOW_MS, item_row, put, sample_row
from tests.console.review.test_answering import BLOCK, answered


def said(reviewer: str, outcome: str, category: str | None = None, **changes: Any) -> Said:
    """Return an answer."""
    return Said(**({"reviewer": reviewer, "outcome": outcome, "category": category} | _REST | changes))


def judged(kind: str, category: str, *given: Said, drawn: Drawn | None = None, gold: str | None = None) -> JudgedItem:
    """Return an item, done where it has an answer."""
    return JudgedItem(kind, category, bool(given), given, () if drawn is None else (drawn,), gold)


_REST: dict[str, Any] = {"is_final": False, "at_ms": 0, "took_ms": 1_000}


def test_cohens_kappa_is_that_of_the_textbook() -> None:
    """50 items: both yes 20, both no 15, and 5 and 10 of each other: 0.70 observed, 0.50 by chance."""
    pairs = [("y", "y")] * 20 + [("n", "n")] * 15 + [("y", "n")] * 5 + [("n", "y")] * 10
    assert agreement_ratio(pairs) == pytest.approx(0.70)
    assert cohen_kappa(pairs) == pytest.approx(0.40)


def test_fleiss_kappa_is_that_of_the_textbook() -> None:
    """Ten subjects, fourteen raters, five labels (Wikipedia's table): 0.210."""
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    items = [[str(label) for label, n in enumerate(row) for _ in range(n)] for row in table]
    assert fleiss_kappa(items) == pytest.approx(0.2099, abs=1e-4)


def test_kappa_has_no_value_where_chance_explains_all() -> None:
    """Of one label throughout, and of nothing."""
    assert (
        cohen_kappa([("y", "y")] * 3) is cohen_kappa([]) is fleiss_kappa([["y", "y"]]) is fleiss_kappa([["y"]]) is None
    )


def test_agreement_is_of_opinions_and_never_of_an_adjudicators_answer() -> None:
    """Per pair and per category."""
    items = [
        judged("review", "M", said("ann", "block"), said("bob", "block")),
        judged("review", "M", said("ann", "block"), said("bob", "allow"), said("cid", "allow", is_final=True)),
        judged("review", "A", said("bob", "allow"), said("ann", "allow")),
    ]
    figures = figures_of(items)
    assert figures.agreement.n_items == 3
    assert figures.agreement.agreement_ratio == pytest.approx(2 / 3)
    assert figures.agreement_by_category["M"].agreement_ratio == 0.5
    (pair,) = figures.agreement_by_pair
    assert (pair.reviewers, pair.n_items) == (("ann", "bob"), 3)
    assert pair.kappa == pytest.approx(0.4)


def test_agreement_with_the_model_tells_blind_answers_apart() -> None:
    """Whoever sees the model's category is swayed by it."""
    items = [
        judged("review", "M", said("ann", "block", "M")),
        judged("review", "M", said("ann", "block", "A")),
        judged("review", "M", said("ann", "block")),
        judged("sample", "M", said("ann", "block", "M")),
    ]
    found = figures_of(items).model_by_category["M"]
    assert (found.n_named, found.n_same, found.n_named_blind, found.n_same_blind) == (3, 2, 1, 1)


def test_accuracy_is_of_gold_items_alone() -> None:
    """And gold items count in nothing else."""
    items = [
        judged("gold", "M", said("ann", "block", "M"), gold="block"),
        judged("gold", "A", said("ann", "block"), gold="allow"),
        judged("review", "M", said("ann", "allow", "A")),
    ]
    figures = figures_of(items)
    (ann,) = figures.reviewers
    assert (ann.n_answers, ann.n_gold, ann.gold_accuracy.value) == (3, 2, 0.5)
    assert (ann.n_gold_categories, ann.gold_category_accuracy.value) == (1, 1.0)
    assert figures.model_by_category["M"].n_named == 1


def test_a_pause_counts_as_five_minutes_of_work() -> None:
    """13 answers in 60 s each, after a night: 12 gaps of one minute, one of five, and the first item's 60 s."""
    first = [said("ann", "allow", at_ms=n * 60_000, took_ms=60_000) for n in range(7)]
    then = [said("ann", "allow", at_ms=50_000_000 + n * 60_000, took_ms=60_000) for n in range(7)]
    assert items_an_hour([*then, *first]) == pytest.approx(14 / (18 / 60))
    assert items_an_hour([]) is items_an_hour([said("ann", "allow", took_ms=None)]) is None


def test_precision_is_by_stratum_and_overall_by_weight() -> None:
    """Of what is answered; what is drawn and open is counted beside it."""
    allowed = Drawn("default", "allow", 0.01)
    rare = Drawn("default", "allow", 1.0)
    items = [
        *(judged("sample", "A", said("ann", "allow"), drawn=allowed) for _ in range(10)),
        *(judged("sample", "B", said("ann", "block"), drawn=rare) for _ in range(10)),
        judged("sample", "B", drawn=rare),
    ]
    figures = figures_of(items)
    a, b = figures.precision
    assert (a.category, a.n_drawn, a.n_answered, a.precision.value) == ("A", 10, 10, 1.0)
    assert (b.category, b.n_drawn, b.n_answered, b.precision.value) == ("B", 11, 10, 0.0)
    (overall,) = figures.precision_overall
    assert overall.category is None
    assert overall.precision.value == pytest.approx(1_000 / 1_010)


def test_figures_are_of_the_answers_that_count(open_queue: OpenQueue, store: Store) -> None:
    """From the database: neither skipped nor undone ones; samples also where nobody has answered."""
    queue = open_queue(opinions=2)
    policies = [
        {"name": "default", "version": "2", "decision": "allow", "decided_by": "model", "inclusion": 0.5},
        {"name": "sports", "version": "1", "decision": "block", "decided_by": "model"},
    ]
    both, skipped, undone, sample, _ = put(
        store,
        item_row(5, n_wanted=2),
        item_row(4),
        item_row(3),
        sample_row(2) | {"policies": policies},
        sample_row(1) | {"policies": policies},
    )
    answered(queue, both)
    answered(queue, both, BLOCK, "bob")
    answered(queue, skipped, Wish("skip"))
    queue.undo(answered(queue, undone).answer_id, "ann")
    answered(queue, sample, Wish("allow"))
    with store.reading() as connection:
        found = judged_items(connection, since_ms=0, until_ms=NOW_MS + 1)
        assert judged_items(connection, since_ms=NOW_MS + 1, until_ms=NOW_MS + 2) == []
    assert sorted((item.kind, len(item.said)) for item in found) == [("review", 2), ("sample", 0), ("sample", 1)]
    figures = figures_of(found)
    (stratum,) = figures.precision
    assert (stratum.policy, stratum.n_drawn, stratum.n_answered, stratum.precision.value) == ("default", 2, 1, 1.0)
    assert figures.agreement.agreement_ratio == 1.0
