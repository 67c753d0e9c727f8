"""Who decided, and what is said of it."""

import io
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH, Bundle
from schemas import DecidedBy, Decision, ModelRef, PolicyRef, Verdict, policies_digest, verdict_id
from tests.worker.explain.records import CHAT, FINGERPRINT, judged, letter_record
from worker.explain.document import document
from worker.explain.explained import explained
from worker.explain.judges import Judges, JudgeUnknown
from worker.explain.outcomes import ChatHistory, ChatOutcome, OutcomeKind, dead_letter_of
from worker.explain.text import change_text, number, print_history
from worker.settings.worker import CodecLimits

SHIPPED = Judges([DEFAULT_BUNDLE_PATH], [])
"""Reads the bundle once, when it is first asked."""
ESCAPE = "\x1b]0;owned\x07[bold]"


def under(bundle: Bundle, verdict: Verdict) -> Verdict:
    """Return the verdict with the id that the bundle's default policy gives it."""
    own = verdict_id(
        chat_id=verdict.chat_id,
        fingerprint=FINGERPRINT,
        model_digest=bundle.digest,
        rules_version=verdict.rules_version,
        policies_digest=policies_digest([bundle.default_policy]),
    )
    return verdict.model_copy(update={"verdict_id": own})


def test_the_verdicts_id_proves_the_policy(bundle: Bundle) -> None:
    """A policy file that was changed under the same version has other thresholds than those that decided."""
    verdict = judged(bundle, {"F": 0.9})
    assert not SHIPPED.of(verdict).is_proven
    assert SHIPPED.of(under(bundle, verdict)).is_proven


def test_what_people_and_lists_decided_is_not_explained_by_evidence(bundle: Bundle) -> None:
    """Whatever the evidence were, the decision would be the same; the rule's own is told beside."""
    verdict = judged(bundle, {"F": 0.9}).model_copy(
        update={
            "decided_by": DecidedBy.OVERRIDE,
            "override_revision": 1_700,
            "actor": "reviewer-7",
            "model_decision": Decision.ALLOW,
        }
    )
    found = explained(verdict, SHIPPED)
    assert (found.changes, found.recomputed) == ((), verdict.decision)
    assert found.unknown is not None
    assert "decided by override" in found.unknown
    history = ChatHistory(limit=5)
    outcome = ChatOutcome(OutcomeKind.VERDICT, ("verdicts", 0, 3), 1_700_000_000_000, verdict=verdict)
    history.add(outcome)
    screen = io.StringIO()
    print_history(CHAT, None, history, {outcome.place: found}, Console(width=160, file=screen))
    assert "revision 1700, by reviewer-7" in screen.getvalue()
    assert "the policy's own rule says allow" in screen.getvalue()


def test_a_listed_chats_id_proves_the_policy_too(bundle: Bundle) -> None:
    """A verdict does not name the list; its id is another one for each."""
    verdict = judged(bundle, {"F": 0.9})
    own = verdict_id(
        chat_id=verdict.chat_id,
        fingerprint=FINGERPRINT,
        model_digest=bundle.digest,
        rules_version=verdict.rules_version,
        policies_digest=policies_digest([bundle.default_policy]),
        listed="deny",
    )
    assert SHIPPED.of(verdict.model_copy(update={"verdict_id": own})).is_proven


def test_a_policy_file_is_taken_where_name_and_version_are_the_verdicts(bundle: Bundle, tmp_path: Path) -> None:
    """One that cannot be used is named with the reason."""
    path = tmp_path / "strict.toml"
    path.write_text(
        'name = "strict"\nversion = "3"\nbanned = ["J"]\n'
        "max_banned_to_safe_rate = 0.02\nmax_safe_to_banned_rate = 0.05\n"
    )
    verdict = judged(bundle, {"F": 0.9}).model_copy(update={"policy": PolicyRef(name="strict", version="3")})
    assert Judges([DEFAULT_BUNDLE_PATH], [path]).of(verdict).rule.policy.banned == {"J"}
    path.write_text('name = "strict"\n')
    with pytest.raises(JudgeUnknown, match=r"policy strict 3 is not at hand.*--policy; .*strict\.toml"):
        Judges([DEFAULT_BUNDLE_PATH], [path]).of(verdict)


def test_an_earlier_bundle_of_a_registry_is_found(bundle: Bundle, tmp_path: Path) -> None:
    """Yesterday's verdict is of the bundle before the last promotion."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "old").symlink_to(DEFAULT_BUNDLE_PATH)
    entry = {"digest": bundle.digest, "set_at": "2026-01-01T00:00:00Z"}
    pointer = {
        "format_version": 1,
        "current": {**entry, "location": "m/new", "digest": f"sha256:{'0' * 64}"},
        "history": [{**entry, "location": "m/old"}],
    }
    (tmp_path / "current.json").write_bytes(orjson.dumps(pointer))
    assert Judges([tmp_path], []).of(judged(bundle, {"F": 0.9})).taxonomy == bundle.taxonomy


def test_a_bundle_that_is_not_at_hand_is_named_with_what_to_do(bundle: Bundle, tmp_path: Path) -> None:
    """Verdict and evidence are shown all the same."""
    other = ModelRef(name="gone", version="2", digest=f"sha256:{'ee' * 32}")
    verdict = judged(bundle, {"F": 0.9}).model_copy(update={"model": other})
    found = explained(verdict, Judges([DEFAULT_BUNDLE_PATH, tmp_path], []))
    assert found.judge is None
    assert found.unknown is not None
    assert "gone 2" in found.unknown
    assert "--bundle" in found.unknown
    assert str(tmp_path) in found.unknown


def test_a_decision_that_the_evidence_does_not_give_is_said_so(bundle: Bundle) -> None:
    """A person's override, or a policy that was changed without a version: thresholds would mislead."""
    verdict = judged(bundle, {"J": 0.99}).model_copy(
        update={"decision": Decision.ALLOW, "decided_by": DecidedBy.OVERRIDE}
    )
    found = explained(verdict, SHIPPED)
    assert (found.recomputed, found.changes) == (Decision.BLOCK, ())
    assert found.unknown == "the evidence alone gives block under this policy; decided by override"
    by_model = verdict.model_copy(update={"decided_by": DecidedBy.MODEL})
    assert "not the policy that decided" in str(explained(by_model, SHIPPED).unknown)


def test_a_verdict_of_version_1_has_thresholds_and_no_changes(bundle: Bundle) -> None:
    """Worse pieces may have counted that it does not hold."""
    verdict = judged(bundle, {"F": 0.9}).model_copy(update={"schema_version": 1})
    found = explained(verdict, SHIPPED)
    assert found.judge is not None
    assert (found.recomputed, found.changes) == (None, ())
    assert "version 1" in str(found.unknown)


def shown(*outcomes: ChatOutcome, judges: Judges) -> tuple[str, dict[str, Any]]:
    """Return what a person and what a program is told."""
    history = ChatHistory(limit=10)
    for outcome in outcomes:
        history.add(outcome)
    explanations = {one.place: explained(one.verdict, judges) for one in outcomes if one.verdict is not None}
    screen = io.StringIO()
    print_history(CHAT, None, history, explanations, Console(file=screen, width=160))
    told = document(CHAT, None, history, explanations, [], is_complete=True)
    return screen.getvalue(), orjson.loads(orjson.dumps(told))


@pytest.mark.parametrize(("n_outcomes", "said"), [(0, "0 outcomes"), (1, "1 outcome"), (2, "2 outcomes")])
def test_the_number_of_outcomes_is_said_as_people_say_it(n_outcomes: int, said: str) -> None:
    """Not "1 outcomes"."""
    outcomes = [
        ChatOutcome(OutcomeKind.TOMBSTONE, ("verdicts", 0, offset), 1_000 + offset) for offset in range(n_outcomes)
    ]
    text, _ = shown(*outcomes, judges=SHIPPED)
    assert text.splitlines()[0] == f"chat {CHAT}: {said}"


def test_a_person_is_told_the_sum_the_borders_and_what_was_missing(bundle: Bundle) -> None:
    """Which category's evidence it was, and whether a piece of the chat said it."""
    verdict = judged(bundle, {"J": 0.5, "F": 0.6})
    piece = verdict.model_copy(update={"probabilities": {**verdict.probabilities, "J": 0.1}})
    outcome = ChatOutcome(OutcomeKind.VERDICT, ("verdicts", 0, 1), 1_000, verdict=under(bundle, piece))
    text, told = shown(outcome, judges=SHIPPED)
    for said in (
        "0.5 = J 0.5* + ",
        "*: of a piece of the chat",
        "bans D, J, M; allows up to 0.3",
        "allow with a score of at",
    ):
        assert said in text
    assert "does not prove" not in text
    (one,) = told["outcomes"]
    assert one["explanation"]["policy"]["proven"] is True
    assert {change["what"] for change in one["explanation"]["changes"]} == {"score", "evidence"}
    assert one["in_force"]


def test_nothing_of_a_topic_commands_the_terminal(bundle: Bundle) -> None:
    """Ids and errors come from upstream."""
    verdict = judged(bundle, {"F": 0.9}, event_id=ESCAPE)
    outcome = ChatOutcome(OutcomeKind.VERDICT, ("verdicts", 0, 1), 1_000, verdict=verdict)
    text, told = shown(outcome, judges=SHIPPED)
    assert "\x1b]0;owned" not in text
    assert "?]0;owned?[bold]" in text
    assert told["outcomes"][0]["verdict"]["event_id"] == ESCAPE


def test_dead_letters_and_tombstones_stand_between_the_verdicts() -> None:
    """Each with its reason and what it means for the chat."""
    found = [
        dead_letter_of(letter_record(1), CHAT, CodecLimits()),
        dead_letter_of(letter_record(2, is_tombstone=True), CHAT, CodecLimits()),
    ]
    text, told = shown(*[one for one in found if one is not None], judges=Judges([], []))
    assert "schema_error: messages: a string; expected a list" in text
    assert "the chat is forgotten" in text
    assert [one["reason"] for one in told["outcomes"]] == ["schema_error", "tombstone"]


def test_shares_are_written_with_their_decimals_and_no_more() -> None:
    """As they stand on the wire."""
    assert [number(value) for value in (0.0, 1.0, 0.5, 0.000001, 0.341100)] == ["0", "1", "0.5", "0.000001", "0.3411"]
    assert change_text.__doc__ is not None
