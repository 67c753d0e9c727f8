"""Fingerprint and verdict id: the same for the same content, different for any other."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any, TypedDict, Unpack

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas import (
    DEFAULT_POLICY,
    ChatEvent,
    Decision,
    Message,
    Policy,
    PreviousDecision,
    Role,
    content_fingerprint,
    conversation_turns,
    policies_digest,
    verdict_id,
)

Texts = list[tuple[Role, str]]

# A small alphabet that holds what the digest writes between texts makes collisions likely, if any.
TURNS = st.lists(
    st.tuples(st.sampled_from(Role), st.text(alphabet="aé 1\nuser", min_size=1, max_size=6)),
    min_size=1,
    max_size=4,
)


def _event(turns: Texts, chat_id: str = "c") -> ChatEvent:
    messages = [Message(role=role, content=text) for role, text in turns]
    return ChatEvent(chat_id=chat_id, messages=messages)


def _fingerprint(turns: Texts) -> str:
    return content_fingerprint(_event(turns))


@given(turns=TURNS, ids=st.lists(st.integers() | st.text(max_size=3) | st.none(), min_size=4))
def test_ids_clocks_and_the_event_around_do_not_change_the_fingerprint(
    turns: Texts, ids: list[int | str | None]
) -> None:
    """An upstream retry that renumbers its messages is the same content."""
    renumbered = ChatEvent(
        chat_id="other",
        messages=[
            Message(role=role, content=text, id=ids[i], created_at=ids[-1 - i]) for i, (role, text) in enumerate(turns)
        ],
        event_id=ids[0],
        occurred_at=ids[1],
        context={"a": ids},
        schema_version="1.4",
    )
    assume(conversation_turns(renumbered))
    assert content_fingerprint(renumbered) == _fingerprint(turns)


@given(first=TURNS, second=TURNS)
def test_different_conversations_have_different_fingerprints(first: Texts, second: Texts) -> None:
    """A collision would serve one chat the verdict of another."""
    same = conversation_turns(_event(first)) == conversation_turns(_event(second))
    assert (_fingerprint(first) == _fingerprint(second)) is same


U, A = Role.USER, Role.ASSISTANT


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([(U, "ab"), (U, "c")], [(U, "a"), (U, "bc")]),
        ([(U, "a"), (U, "b")], [(U, "ab")]),
        ([(U, "auser 1\nb")], [(U, "a"), (U, "b")]),
        ([(U, "a"), (U, "b")], [(U, "b"), (U, "a")]),
        ([(U, "a")], [(A, "a")]),
        ([(U, "a"), (A, "b")], [(A, "a"), (U, "b")]),
        ([(U, "a")], [(U, "a ")]),
        ([(U, "é")], [(U, "e\u0301")]),
        ([(U, "a")], [(U, "a"), (U, "a")]),
    ],
)
def test_no_trick_of_cutting_or_joining_gives_another_chat_the_same_fingerprint(first: Texts, second: Texts) -> None:
    """Lengths are part of the digest, so texts cannot imitate the borders between messages."""
    assert _fingerprint(first) != _fingerprint(second)


def test_formatted_chat_and_query_have_the_fingerprint_of_the_same_user_message() -> None:
    """The classifier sees the same text, so the cache may answer for it."""
    expected = _fingerprint([(U, "hello")])
    assert content_fingerprint(ChatEvent(chat_id="c", formatted_chat="hello")) == expected
    assert content_fingerprint(ChatEvent(chat_id="c", query="hello")) == expected


class Parts(TypedDict):
    """Arguments of verdict_id."""

    chat_id: str
    fingerprint: str
    model_digest: str
    rules_version: str
    policies_digest: str
    previous: PreviousDecision | None
    override_revision: int


class Changes(TypedDict, total=False):
    """Some of them."""

    chat_id: str
    fingerprint: str
    model_digest: str
    rules_version: str
    policies_digest: str
    previous: PreviousDecision | None
    override_revision: int


BASE: Parts = {
    "chat_id": "chat",
    "fingerprint": "f",
    "model_digest": "m",
    "rules_version": "1",
    "policies_digest": "p",
    "previous": None,
    "override_revision": 0,
}
PART = st.text(alphabet="ab1\n", max_size=3)
PREVIOUS = st.builds(
    PreviousDecision,
    decision=st.sampled_from(Decision),
    offset=st.integers(0, 11),
    decided_at=st.sampled_from([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)]),
)
PARTS = st.fixed_dictionaries(
    {
        "chat_id": PART,
        "fingerprint": PART,
        "model_digest": PART,
        "rules_version": PART,
        "policies_digest": PART,
        "previous": st.none() | PREVIOUS,
        "override_revision": st.integers(0, 11),
    }
)


def test_a_verdict_id_is_the_same_every_time() -> None:
    """A redelivered event gets the id it had, in any process."""
    assert verdict_id(**BASE) == verdict_id(**BASE)
    assert len(verdict_id(**BASE)) == 32


@given(first=PARTS, second=PARTS)
def test_verdict_ids_are_equal_only_where_every_part_is_equal(first: Parts, second: Parts) -> None:
    """A character that moves from one part to the next makes another id, and so does whatever a decision rests on."""
    assert (verdict_id(**first) == verdict_id(**second)) is (first == second)


def _id(**changes: Unpack[Changes]) -> str:
    parts: Parts = {**BASE, **changes}
    return verdict_id(**parts)


HELD = PreviousDecision(decision=Decision.BLOCK, offset=7, decided_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "change",
    [
        Changes(chat_id="other"),
        Changes(fingerprint="other"),
        Changes(model_digest="other"),
        Changes(rules_version="2"),
        Changes(policies_digest="other"),
        Changes(previous=HELD),
        Changes(override_revision=1),
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_may_change_a_decision_changes_the_id(change: Changes) -> None:
    """Readers drop repeats by the id; an id that outlived a change would hide a block from them."""
    assert _id(**change) != _id()


@pytest.mark.parametrize(
    "change", [{"decision": Decision.REVIEW}, {"offset": 8}, {"decided_at": datetime(2027, 1, 1, tzinfo=UTC)}]
)
def test_another_previous_decision_makes_another_id(change: dict[str, Any]) -> None:
    """A hold that lasts longer, or of another decision, decides otherwise."""
    changed = _id(previous=HELD.model_copy(update=change))
    assert changed not in {_id(), _id(previous=HELD)}


STRICT = DEFAULT_POLICY.model_copy(update={"name": "strict", "max_banned_to_safe_rate": 0.01})


def test_a_set_of_policies_has_one_digest_in_whatever_order() -> None:
    """Workers read the folder in the order of its file system."""
    assert policies_digest([DEFAULT_POLICY, STRICT]) == policies_digest([STRICT, DEFAULT_POLICY])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", policies_digest([DEFAULT_POLICY]))


@pytest.mark.parametrize(
    "policies",
    [
        [],
        [DEFAULT_POLICY],
        [STRICT],
        [DEFAULT_POLICY.model_copy(update={"version": "2"})],
        [DEFAULT_POLICY.model_copy(update={"max_safe_to_banned_rate": 0.03})],
        [DEFAULT_POLICY, STRICT, STRICT.model_copy(update={"name": "third"})],
    ],
)
def test_another_set_of_policies_has_another_digest(policies: list[Policy]) -> None:
    """A threshold that changed under its name must give new verdict ids."""
    assert policies_digest(policies) != policies_digest([DEFAULT_POLICY, STRICT])


def test_a_digest_does_not_depend_on_the_hash_seed() -> None:
    """A frozenset has another order in every process."""
    program = "from schemas import DEFAULT_POLICY, policies_digest; print(policies_digest([DEFAULT_POLICY]))"
    for seed in ("1", "2"):
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
        found = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == policies_digest([DEFAULT_POLICY])
