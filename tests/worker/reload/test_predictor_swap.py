"""A batch has one predictor from its first look-up to its last verdict, whenever another one is offered."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import Classification, Classifier, load_bundle
from schemas import DEFAULT_POLICY, Decision, Policy, Role, Turn, Verdict
from tests.broker_twin.broker import TwinBroker
from tests.bundles import bundle_variant
from tests.worker.loop_rig import Rig
from tests.worker.payloads import record
from worker.predictor import Predictor
from worker.reload.switch import PredictorSwitch

TEXTS = ("write a poem about my cat", "which phone should I buy", "hello", "my girlfriend left me", "fix this code")
STRICT = Policy(
    name="strict", version="1", banned=frozenset("BDFJM"), max_banned_to_safe_rate=0.01, max_safe_to_banned_rate=0.3
)


@pytest.fixture(scope="module")
def predictors(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Predictor, ...]:
    """Return three predictors: a bundle, another one, and the first one under another policy."""
    first = load_bundle(bundle_path)
    folder = tmp_path_factory.mktemp("bundles") / "second"
    second = load_bundle(bundle_variant(bundle_path, folder, version="2.0", temperature=3 * first.manifest.temperature))
    pairs = ((first, DEFAULT_POLICY), (second, DEFAULT_POLICY), (first, STRICT))
    return tuple(Predictor.of(Classifier(bundle, policy, n_threads=1)) for bundle, policy in pairs)


def _name(predictor: Predictor) -> tuple[str, str]:
    return predictor.builder.model.digest, predictor.builder.policy.name


def _said(verdict: Verdict) -> tuple[tuple[str, str], str, Decision, float, float]:
    """Return whom a verdict names, and everything that the named one must have said."""
    return (
        (verdict.model.digest, verdict.policy.name),
        verdict.category.code,
        verdict.decision,
        verdict.banned_probability,
        verdict.banned_to_safe_risk,
    )


@pytest.fixture(scope="module")
def expected(predictors: tuple[Predictor, ...]) -> dict[tuple[tuple[str, str], str], Classification]:
    """Return what each predictor says of each text, asked alone."""
    answers = {}
    for predictor in predictors:
        results, _ = predictor.classifier.classify([[Turn(Role.USER, text)] for text in TEXTS])
        for text, result in zip(TEXTS, results, strict=True):
            assert isinstance(result, Classification)
            answers[_name(predictor), text] = result
    return answers


Batch = tuple[tuple[int, ...], int | None]
"""Texts by number, and the predictor that is offered while the batch is in hand."""

_BATCHES = st.lists(
    st.tuples(
        st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=4).map(tuple),
        st.one_of(st.none(), st.integers(0, 2)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=_BATCHES)
def test_every_verdict_names_one_judge_and_says_what_that_judge_says(
    predictors: tuple[Predictor, ...],
    expected: dict[tuple[tuple[str, str], str], Classification],
    batches: Sequence[Batch],
) -> None:
    """Fresh or cached; and the predictor offered during one batch is the next batch's."""
    switch: PredictorSwitch[Predictor] = PredictorSwitch(predictors[0], lambda _old, _new: None)
    offers = iter([offered for _, offered in batches])
    texts, records, place = {}, [], 0
    for numbers, _ in batches:
        records.append([])
        for number in numbers:
            texts[place] = TEXTS[number]
            message = {"role": "user", "content": TEXTS[number]}
            # A chat for each text, so that a text that comes again may be answered from the cache.
            records[-1].append(record(place, chat_id=f"chat-{number}", messages=[message]))
            place += 1
    rig = Rig(TwinBroker(), *records, predictor=switch.take)
    rig.cache.on_look_up = lambda: None if (at := next(offers)) is None else switch.offer(predictors[at])
    rig.loop.run()
    in_use, verdicts = predictors[0], iter(rig.verdicts)
    for numbers, offered in batches:
        for _ in numbers:
            verdict = next(verdicts)
            answer = expected[_name(in_use), texts[verdict.source.offset]]
            risk = answer.judgement
            assert _said(verdict) == (
                _name(in_use), answer.category, risk.decision, risk.banned_probability, risk.banned_to_safe_risk
            )  # fmt: skip
            assert verdict.probabilities == pytest.approx(answer.probabilities, abs=2e-6)
        in_use = in_use if offered is None else predictors[offered]
    assert next(verdicts, None) is None


def test_what_the_old_judge_left_in_the_cache_is_judged_again(
    twin: TwinBroker, predictors: tuple[Predictor, ...]
) -> None:
    """F25: same chat, same text; a hit before the swap, none after it, a hit again after that."""
    switch: PredictorSwitch[Predictor] = PredictorSwitch(predictors[0], lambda _old, _new: None)
    batches = [[record(offset, chat_id="c", messages=[{"role": "user", "content": "hello"}])] for offset in range(4)]
    # In the foreground, so that each batch finds what the one before it has left.
    rig = Rig(twin, *batches, predictor=switch.take, in_background=False)
    looks = iter(range(4))
    rig.cache.on_look_up = lambda: switch.offer(predictors[1]) if next(looks) == 1 else None
    rig.loop.run()
    assert [verdict.cache_hit for verdict in rig.verdicts] == [False, True, False, True]
    assert len({verdict.verdict_id for verdict in rig.verdicts[:2]}) == 1
    assert rig.verdicts[1].verdict_id != rig.verdicts[2].verdict_id


def test_an_idle_worker_takes_the_new_judge_too(twin: TwinBroker, predictors: tuple[Predictor, ...]) -> None:
    """Or it would keep two models in memory until the next event."""
    swaps: list[tuple[Predictor | None, Predictor]] = []
    switch: PredictorSwitch[Predictor] = PredictorSwitch(predictors[0], lambda old, new: swaps.append((old, new)))
    switch.offer(predictors[2])
    switch.offer(predictors[1])
    Rig(twin, [], predictor=switch.take).loop.run()
    assert swaps == [(predictors[0], predictors[1])]
