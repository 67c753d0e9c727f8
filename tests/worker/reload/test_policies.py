"""A folder of policies is followed without loading the model again; a bad file costs its own policy."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pytest
import structlog

from model import BundleError, Classification
from schemas import CHAT_13, DecidedBy, Decision, Role, Turn, Verdict, encode_verdict
from tests.tiny_bundle import tiny_bundle
from tests.worker.payloads import TOPICS, event, kafka_settings
from worker.cache.decisions import decode_cached_verdict
from worker.conversation.assembly import refuse_unheld
from worker.errors import Fatal
from worker.outcome_encoding import OutputTopics
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.reload.assembly import limit_verdicts, live_predictor
from worker.reload.switch import PredictorSwitch
from worker.reload.verdict_size import largest_verdict_bytes
from worker.reload.watcher import ReloadWatcher
from worker.settings.model import ModelSettings

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


class Rig(NamedTuple):
    """A live predictor that follows a folder of policies."""

    bundle: Path
    folder: Path
    settings: ModelSettings
    metrics: Metrics
    switch: PredictorSwitch[Predictor]
    watcher: ReloadWatcher

    @property
    def names(self) -> list[str]:
        """Names and versions of the policies in use."""
        return list(self.switch.take().policies)

    def value(self, metric: str, /, **labels: str) -> float | None:
        """Return one metric."""
        return self.metrics.registry.get_sample_value(f"moderation_{metric}", labels)

    def write(self, file_name: str, **fields: Any) -> None:
        """Write a policy file."""
        write(self.folder / file_name, **fields)


def write(path: Path, **fields: Any) -> None:
    """Write a policy as JSON."""
    rates = {"max_banned_to_safe_rate": 0.1, "max_safe_to_banned_rate": 0.1}
    path.write_bytes(orjson.dumps({"version": "1", "banned": ["F"], **rates, **fields}))


def rig_of(tmp_path: Path, **settings: Any) -> Rig:
    """Return a rig over what lies in the folders."""
    bundle, folder = tmp_path / "bundle", tmp_path / "policies"
    if not bundle.exists():
        tiny_bundle(bundle, CHAT_13)
    model = ModelSettings(path=bundle, policies_dir=folder, n_threads=1, **settings)
    metrics = Metrics()
    return Rig(bundle, folder, model, metrics, *live_predictor(model, metrics))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return a predictor under the default policy and two others."""
    (tmp_path / "policies").mkdir()
    write(tmp_path / "policies" / "a.json", name="alpha")
    write(tmp_path / "policies" / "b.json", name="beta", banned=["M"])
    return rig_of(tmp_path)


def _verdict(rig: Rig, text: str = "f") -> Verdict:
    (found,), _ = rig.switch.take().classifier.classify([[Turn(Role.USER, text)]])
    assert isinstance(found, Classification)
    asked = event(1, messages=[{"role": "user", "content": text}])
    return rig.switch.take().builder.fresh(asked, found, _NOW)


def test_all_policies_decide_on_every_verdict(rig: Rig) -> None:
    """From one reading."""
    verdict = _verdict(rig)
    assert {name: said.decision for name, said in verdict.decisions.items()} == {
        "default": Decision.ALLOW,
        "alpha": Decision.BLOCK,
        "beta": Decision.ALLOW,
    }
    assert (verdict.policy.name, verdict.decision) == ("default", Decision.ALLOW)
    assert rig.value("policy_info", name="alpha", version="1") == 1


def test_changed_added_and_removed_policies_are_taken_up_without_loading_the_model(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two batches, by the same sessions."""
    before = rig.switch.take().classifier
    monkeypatch.setattr("worker.reload.watcher.load_bundle", _never)
    monkeypatch.setattr("worker.predictor.Classifier", _never)
    rig.write("a.json", name="alpha", version="2", banned=["G"])
    rig.write("c.json", name="gamma")
    (rig.folder / "b.json").unlink()
    rig.watcher.look()
    assert rig.names == ["default 2", "alpha 2", "gamma 1"]
    assert rig.switch.take().classifier._sessions is before._sessions
    shown = ("alpha", "1"), ("alpha", "2"), ("beta", "1"), ("gamma", "1")
    assert [rig.value("policy_info", name=name, version=version) for name, version in shown] == [None, 1, None, 1]
    rig.watcher.look()
    assert rig.value("reload_total", role="live", outcome="swapped") == 1


def _never(*_: object, **__: object) -> None:
    raise AssertionError("the model is not to be loaded")


def test_a_cached_verdict_under_other_policies_is_decided_anew_from_what_it_holds(rig: Rig) -> None:
    """A changed policy costs no inference."""
    cached = decode_cached_verdict(encode_verdict(_verdict(rig)))
    rig.write("a.json", name="alpha", version="2", banned=["G"])
    rig.watcher.look()
    builder, asked = rig.switch.take().builder, event(1, messages=[{"role": "user", "content": "f"}])
    assert builder.answers(cached, asked)
    assert builder.doubt(cached) is None
    anew = builder.verdict(asked, cached, _NOW)
    assert (cached.decisions["alpha"].decision, anew.decisions["alpha"].decision) == (Decision.BLOCK, Decision.ALLOW)
    assert (anew.decisions["alpha"].version, anew.verdict_id != cached.verdict_id) == ("2", True)
    assert anew == _verdict(rig).model_copy(update={"cache_hit": True, "source": asked.record.source})


def test_the_default_policy_too_changes_without_loading_the_model(tmp_path: Path) -> None:
    """Its classifier then speaks under the new one."""
    (tmp_path / "policies").mkdir()
    write(tmp_path / "default.json", name="mine")
    rig = rig_of(tmp_path, policy_path=tmp_path / "default.json")
    sessions = rig.switch.take().classifier._sessions
    write(tmp_path / "default.json", name="mine", version="2", banned=["G"])
    rig.watcher.look()
    predictor = rig.switch.take()
    assert (predictor.classifier.policy.version, predictor.builder.policy.version) == ("2", "2")
    assert predictor.classifier._sessions is sessions
    (found,), _ = predictor.classifier.classify([[Turn(Role.USER, "f")]])
    assert isinstance(found, Classification)
    assert found.judgement.decision is Decision.ALLOW


def test_a_bad_file_costs_its_own_policy_at_the_start_and_is_told_once(rig: Rig, tmp_path: Path) -> None:
    """The worker serves all others meanwhile."""
    rig.write("b.json", name="alpha", version="7")
    with structlog.testing.capture_logs() as lines:
        started = rig_of(tmp_path)
        for _ in range(3):
            started.watcher.look(asked=True)
    refused = [line for line in lines if line["event"] == "policy_refused"]
    assert [line["file"] for line in refused] == ["b.json"]
    assert "expected each name once" in refused[0]["error"]
    assert started.names == ["default 2", "alpha 1"]
    assert (started.value("policies_refused"), started.value("reload_failed", role="live")) == (1, 0)
    started.write("b.json", name="beta")
    with structlog.testing.capture_logs() as lines:
        started.watcher.look()
    assert "policy_fault_gone" in [line["event"] for line in lines]
    assert (started.names, started.value("policies_refused")) == (["default 2", "alpha 1", "beta 1"], 0)


def test_a_file_that_turns_bad_leaves_the_policy_that_it_held(rig: Rig) -> None:
    """And the other changes of the same moment are taken up."""
    (rig.folder / "a.json").write_bytes(b"{")
    rig.write("b.json", name="beta", version="2")
    rig.watcher.look()
    assert (rig.names, rig.value("policies_refused")) == (["default 2", "alpha 1", "beta 2"], 1)
    rig.write("a.json", name="alpha", version="1", banned=["H"])
    rig.watcher.look()
    assert rig.names == ["default 2", "alpha 1", "beta 2"]
    assert rig.switch.take().builder.deciding[1].banned == {"F"}, "the same version under other content"


def test_a_folder_that_goes_away_changes_nothing(rig: Rig) -> None:
    """A volume that is not mounted is no wish to serve without policies."""
    for path in rig.folder.iterdir():
        path.unlink()
    rig.folder.rmdir()
    rig.watcher.look()
    assert (rig.names, rig.value("reload_failed", role="live")) == (["default 2", "alpha 1", "beta 1"], 1)


def test_the_order_of_files_changes_no_byte_of_a_verdict(rig: Rig) -> None:
    """Workers whose folders name the files otherwise say the same."""
    before = encode_verdict(_verdict(rig))
    (rig.folder / "a.json").rename(rig.folder / "z.json")
    rig.watcher.look(asked=True)
    assert encode_verdict(_verdict(rig)) == before


def test_what_the_operator_adds_to_the_floor_stands_before_every_policy(rig: Rig, tmp_path: Path) -> None:
    """A policy that bans nothing cannot buy it; a code that is none ends the start."""
    rig.write("a.json", name="alpha", banned=[])
    free = rig_of(tmp_path).switch.take()
    bound = rig_of(tmp_path, floor="F, G")
    assert free.builder.policies is not None
    assert free.builder.policies.digest != bound.switch.take().builder.policies.digest  # type: ignore[union-attr]
    said = _verdict(bound).decisions
    assert {name: (one.decision, one.decided_by) for name, one in said.items()} == dict.fromkeys(
        ("default", "alpha", "beta"), (Decision.BLOCK, DecidedBy.FLOOR)
    )
    with pytest.raises(BundleError, match="policy 'floor' names 'Q'"):
        rig_of(tmp_path, floor="Q")


def test_more_policies_than_fit_into_a_verdict_end_the_start(rig: Rig) -> None:
    """Every event would become a dead letter."""
    for i in range(60):
        rig.write(f"p{i:02d}.json", name=f"policy-{i}")
    rig.watcher.look()
    with pytest.raises(Fatal, match=r"under 63 policies a verdict may have .* expected at most 7,000"):
        limit_verdicts(rig.settings, rig.switch.take(), rig.watcher, _topics(12_000))


def test_at_a_reload_policies_that_do_not_fit_are_refused_and_those_in_use_stay(rig: Rig) -> None:
    """Whatever their names are."""
    builder = rig.switch.take().builder
    used = largest_verdict_bytes(builder.model, builder.categories, builder.deciding)
    limit_verdicts(rig.settings, rig.switch.take(), rig.watcher, _topics(used + 5_000 + 100))
    rig.write("0.json", name="first")
    rig.write("1.json", name="second")
    rig.watcher.look()
    assert (rig.names, rig.value("policies_refused")) == (["default 2", "alpha 1", "beta 1", "first 1"], 1)


def _topics(verdict_max_bytes: int) -> OutputTopics:
    return replace(TOPICS, verdict_max_bytes=verdict_max_bytes)


def test_a_policy_of_the_folder_that_nothing_could_hold_for_is_refused_alone(tmp_path: Path) -> None:
    """One advertiser's file must not keep a worker from its start, nor other policies from a reload."""
    bundle, folder = tmp_path / "bundle", tmp_path / "policies"
    folder.mkdir()
    tiny_bundle(bundle, CHAT_13)
    write(folder / "a.json", name="alpha", hold_block_s=60)
    write(folder / "b.json", name="beta")
    settings, metrics = ModelSettings(path=bundle, policies_dir=folder, n_threads=1), Metrics()
    accepts = partial(refuse_unheld, kafka_settings())
    switch, watcher = live_predictor(settings, metrics, accepts=accepts, may_hold=False)
    rig = Rig(bundle, folder, settings, metrics, switch, watcher)
    assert (rig.names, rig.value("policies_refused")) == (["default 2", "beta 1"], 1)
    rig.write("b.json", name="beta", version="2", hold_block_s=60)
    rig.write("c.json", name="gamma")
    rig.watcher.look()
    # What a file held before it was refused stays.
    assert (rig.names, rig.value("policies_refused")) == (["default 2", "beta 1", "gamma 1"], 2)
    assert rig.value("reload_failed", role="live") == 0
