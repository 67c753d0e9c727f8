"""What the page learns when it answers a blind item: nothing of what the model says, by no route."""

import pytest

from tests.console.pages.review.conftest import Desk
from tests.console.review.rows import put, sample_row


@pytest.mark.parametrize("outcome", ["allow", "block"])
def test_an_answer_on_a_sample_does_not_tell_whether_it_differs_from_the_models(desk: Desk, outcome: str) -> None:
    """Only one that differs is sent; whoever saw that could undo it and say the other."""
    (item_id,) = put(desk.store, sample_row(1, decision="allow"))
    name = "c" * 32
    token = desk.ask("ada", "/review/claim", {"item_id": item_id}).json["claim"]["token"]
    wish = {"item_id": item_id, "token": token, "decision_id": name, "outcome": outcome}
    answered = desk.ask("ada", "/review/answer", wish).json
    assert answered["sends_at_ms"] is None
    assert desk.ask("ada", "/review/answer", wish).json["sends_at_ms"] is None
