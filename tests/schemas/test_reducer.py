"""The reducer that schemas/README.md gives to stream processors, run as it stands there."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from schemas import ModelRef, PolicyRef, Source, encode_verdict
from tests.schemas.payloads import make_verdict

README = Path(schemas.__file__).with_name("README.md")
Outcome = dict[str, Any]


def _printed() -> Callable[[Outcome | None, Outcome], Outcome]:
    """Return the function as the README prints it."""
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  our own text, which readers are to copy
    function: Callable[[Outcome | None, Outcome], Outcome] = names["newest"]
    return function


NEWEST = _printed()


def outcome(
    offset: int,
    *,
    partition: int = 0,
    timestamp_ms: int | None = None,
    model: tuple[str, str] = ("m", "1"),
    policy: tuple[str, str] = ("p", "1"),
    rejected: bool = False,
    revision: int = 0,
) -> Outcome:
    """Return a verdict as it is on the topic, or what a dead letter says."""
    at_ms = 1_000 + offset if timestamp_ms is None else timestamp_ms
    source = Source(topic="chat-events", partition=partition, offset=offset, timestamp_ms=at_ms)
    if rejected:
        return {"source": source.model_dump(), "rejected": "schema_error"}
    verdict = make_verdict(
        source=source,
        model=ModelRef(name=model[0], version=model[1], digest=f"sha256:{'ab' * 32}"),
        policy=PolicyRef(name=policy[0], version=policy[1]),
        override_revision=revision,
    )
    found: Outcome = orjson.loads(encode_verdict(verdict))
    return found


VERSION_1: Outcome = orjson.loads((Path(__file__).parent / "golden" / "verdict.v1.json").read_bytes())
"""Of offset 41, under an older model."""


def reduced(outcomes: Iterable[Outcome]) -> Outcome:
    """Return what is held after all of them, in this order."""
    held = None
    for found in outcomes:
        held = NEWEST(held, found)
    assert held is not None
    return held


def test_the_last_row_is_an_old_conversation_after_a_replay_and_the_reducer_is_not() -> None:
    """What a KTable and a compacted topic would hold."""
    live, replayed = [outcome(0), outcome(1), outcome(2)], [outcome(0, model=("m", "2")), outcome(1, model=("m", "2"))]
    assert [*live, *replayed][-1]["source"]["offset"] == 1
    assert reduced([*live, *replayed]) == live[-1]


def test_a_rejected_event_takes_the_verdict_before_it_away() -> None:
    """Else an `allow` would stay on a conversation that nobody judged; a later event, or a redrive, brings one back."""
    assert "rejected" in reduced([outcome(1), outcome(2, rejected=True)])
    assert "rejected" in reduced([outcome(1), outcome(2, rejected=True), outcome(1, model=("m", "2"))])
    assert "decision" in reduced([outcome(2, rejected=True), outcome(3)])
    assert "decision" in reduced([outcome(2, rejected=True), outcome(2)])


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param(outcome(1), outcome(2), id="a later record of the partition"),
        pytest.param(outcome(1, timestamp_ms=9), outcome(2, timestamp_ms=8), id="whatever its timestamp"),
        pytest.param(outcome(9, timestamp_ms=1), outcome(0, partition=1, timestamp_ms=2), id="a later clock elsewhere"),
        pytest.param(outcome(1, model=("m", "1.9")), outcome(1, model=("m", "1.10")), id="a newer model"),
        pytest.param(outcome(1, policy=("p", "2")), outcome(1, policy=("p", "10")), id="a newer policy"),
        pytest.param(
            outcome(1, model=("m", "1"), policy=("p", "2")),
            outcome(1, model=("m", "2"), policy=("p", "1")),
            id="model first",
        ),
        pytest.param(outcome(1, model=("m", "2")), outcome(1, model=("m", "1"), revision=1), id="a person's decision"),
        pytest.param(outcome(1, revision=9), outcome(1, revision=10), id="a later decision"),
        pytest.param(outcome(1, revision=9), outcome(2), id="a later event than the one decided on"),
        pytest.param(
            VERSION_1, outcome(41, partition=3, model=("ad-safety", "1"), revision=1), id="version 1 is of no override"
        ),
    ],
)
def test_the_newer_of_two_is_held_in_either_order(older: Outcome, newer: Outcome) -> None:
    """Verdicts of several partitions and of replays arrive in any order."""
    assert reduced([older, newer]) == newer == reduced([newer, older])


@pytest.mark.parametrize(
    "other", [outcome(1, model=("other", "0")), outcome(1, policy=("other", "0")), outcome(1, model=("m", "1.0"))]
)
def test_what_does_not_compare_is_decided_by_who_came_last(other: Outcome) -> None:
    """As in Redis: versions under two names do not compare."""
    assert reduced([outcome(1), other]) == other
    assert reduced([other, outcome(1)]) == outcome(1)


OUTCOMES = st.builds(
    lambda offset, version, policy, rejected: outcome(
        offset, model=("m", f"1.{version}"), policy=("p", str(policy)), rejected=rejected
    ),
    st.integers(0, 5),
    st.integers(8, 11),
    st.integers(1, 2),
    st.booleans(),
)


@given(st.lists(OUTCOMES, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_within_a_partition_what_is_held_is_of_the_last_record_in_any_order(outcomes: list[Outcome], rng: Any) -> None:
    """A replay beside live traffic; on one record, of verdicts under one model and policy name the newest versions."""
    shuffled = [*outcomes]
    rng.shuffle(shuffled)
    last = max(found["source"]["offset"] for found in outcomes)
    assert reduced(shuffled)["source"]["offset"] == last
    on_last = [found for found in outcomes if found["source"]["offset"] == last]
    if all("decision" in found for found in on_last):
        newest = max(on_last, key=lambda found: (int(found["model"]["version"][2:]), int(found["policy"]["version"])))
        assert reduced(shuffled) == newest
