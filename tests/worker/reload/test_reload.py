"""A new bundle or policy is taken over only when it is sound; else the old one stays, and the fault is told once."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
import structlog

from model import BundleError, Classification, InferenceStalled, PolicyError
from schemas import Decision, Policy, Role, Turn
from schemas.taxonomy import shipped_taxonomy
from testkit.waiting import wait_until
from tests.bundles import bundle_variant, key_pair, point_to, registry_of_two, serve
from tests.tiny_bundle import tiny_bundle
from tests.tiny_taxonomies import PETS
from worker import predictor as predictor_module
from worker.predictor import Loaded, Predictor
from worker.process.metrics import Metrics
from worker.reload.assembly import live_predictor
from worker.reload.file_signature import Appearance
from worker.reload.switch import PredictorSwitch
from worker.reload.watcher import ReloadWatcher
from worker.settings.model import ModelSettings

POLICY = """
name = "family"
version = "{version}"
banned = {banned}
max_banned_to_safe_rate = 0.02
max_safe_to_banned_rate = 0.05
"""


class Rig(NamedTuple):
    """A live predictor that follows a registry and a policy file."""

    registry: Path
    policy: Path
    digests: tuple[str, str]
    metrics: Metrics
    switch: PredictorSwitch[Predictor]
    watcher: ReloadWatcher

    def value(self, name: str, **labels: str) -> float | None:
        """Return one metric."""
        return self.metrics.registry.get_sample_value(f"moderation_{name}", labels)

    def outcomes(self) -> dict[str, float | None]:
        """Return what became of the looks so far."""
        names = ("swapped", "unchanged", "refused", "overdue")
        return {name: self.value("reload_total", role="live", outcome=name) for name in names}

    @property
    def in_use(self) -> str:
        """Digest of the predictor that the next batch gets."""
        return self.switch.take().builder.model.digest


def _write_policy(path: Path, version: str, banned: str = "DIJM") -> None:
    path.write_text(POLICY.format(version=version, banned=list(banned)))


@pytest.fixture
def rig(bundle_path: Path, tmp_path: Path) -> Rig:
    """Return a predictor of the first of two bundles under a policy."""
    registry, policy = tmp_path / "registry", tmp_path / "policy.toml"
    digests = registry_of_two(bundle_path, registry)
    _write_policy(policy, "1")
    metrics = Metrics()
    settings = ModelSettings(path=registry, policy_path=policy, n_threads=1)
    return Rig(registry, policy, digests, metrics, *live_predictor(settings, metrics))


def test_a_promoted_bundle_takes_over_and_is_named_by_the_metrics(rig: Rig) -> None:
    """One model is shown at a time, by its digest."""
    rig.watcher.look()
    assert rig.in_use == rig.digests[0]
    serve(rig.registry, "m/2")
    rig.watcher.look()
    assert rig.outcomes()["swapped"] == 0, "it waits for the loop"
    assert rig.in_use == rig.digests[1]
    assert rig.outcomes() == {"swapped": 1, "unchanged": 0, "refused": 0, "overdue": 0}
    shown = [
        sample.labels["digest"]
        for family in rig.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "moderation_model_info"
    ]
    assert shown == [rig.digests[1]]


def test_a_rollback_is_a_reload_like_any_other(rig: Rig) -> None:
    """The way back must be as quick as the way forth."""
    serve(rig.registry, "m/2")
    rig.watcher.look()
    serve(rig.registry, "m/1")
    rig.watcher.look()
    assert rig.in_use == rig.digests[0]


def test_what_the_rest_of_the_settings_cannot_serve_is_refused_at_start_and_at_a_reload(
    bundle_path: Path, tmp_path: Path
) -> None:
    """A policy whose holds would have no topic, say: the one in use stays."""
    path = tmp_path / "policy.toml"
    _write_policy(path, "1")
    settings, metrics = ModelSettings(path=bundle_path, policy_path=path, n_threads=1), Metrics()

    def accepts(loaded: Loaded) -> None:
        if loaded.policy.version != "1":
            raise PolicyError(f"version {loaded.policy.version}; expected 1; write that")

    switch, watcher = live_predictor(settings, metrics, accepts=accepts)
    _write_policy(path, "2")
    with structlog.testing.capture_logs() as lines:
        watcher.look()
    assert [line["error"] for line in lines] == ["version 2; expected 1; write that"]
    assert switch.take().builder.policy.version == "1"
    with pytest.raises(PolicyError, match="expected 1"):
        live_predictor(settings, metrics, accepts=accepts)


def test_files_that_were_only_touched_change_nothing(rig: Rig) -> None:
    """A volume that is mounted again has new inodes and the same bytes."""
    predictor = rig.switch.take()
    for name in ("current.json", "m/1/model.onnx"):
        (rig.registry / name).touch()
    rig.watcher.look()
    rig.watcher.look()
    assert rig.switch.take() is predictor
    assert rig.outcomes() == {"swapped": 0, "unchanged": 1, "refused": 0, "overdue": 0}


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _break_tokenizer(registry: Path, bundle_path: Path) -> None:
    bundle_variant(bundle_path, registry / "m" / "3", version="3.0", files={"tokenizer.json": b'{"version": "1.0"}'})
    serve(registry, "m/3")


def _break_model(registry: Path, bundle_path: Path) -> None:
    bundle_variant(bundle_path, registry / "m" / "3", version="3.0", files={"model.onnx": b"no model"})
    serve(registry, "m/3")


def _calibrate_on_safe_chats_only(registry: Path, bundle_path: Path) -> None:
    calibration = orjson.loads((bundle_path / "calibration.json").read_bytes())
    calibration["labels"] = "A" * len(calibration["labels"])
    files = {"calibration.json": orjson.dumps(calibration)}
    bundle_variant(bundle_path, registry / "m" / "3", version="3.0", files=files)
    serve(registry, "m/3")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        pytest.param(lambda r, _: (r / "current.json").write_text('{"cur'), "not a pointer", id="a torn pointer"),
        pytest.param(lambda r, _: (r / "current.json").unlink(), "cannot be read", id="no pointer"),
        pytest.param(
            lambda r, _: point_to(r, "m/2", "sha256:" + "0" * 64), "current.json says", id="a bundle nobody promoted"
        ),
        pytest.param(lambda r, _: _truncate(r / "m" / "1" / "model.onnx"), "digest is", id="a half-written model"),
        pytest.param(_break_tokenizer, "tokenizer.json does not load", id="a tokenizer that does not load"),
        pytest.param(_break_model, "does not load in ONNX Runtime", id="a model that does not load"),
        pytest.param(_calibrate_on_safe_chats_only, "calibration chats", id="no calibration for the policy"),
    ],
)
def test_what_does_not_verify_leaves_the_old_model_in_use_and_is_told_once(
    rig: Rig, bundle_path: Path, harm: Callable[[Path, Path], Any], said: str
) -> None:
    """F35: found, expected and remedy in one error line; a gauge for the alert until it is put right."""
    predictor = rig.switch.take()
    with structlog.testing.capture_logs() as lines:
        harm(rig.registry, bundle_path)
        for asked in (False, True, False):
            rig.watcher.look(asked=asked)
    refused = [line for line in lines if line["event"] == "reload_refused"]
    assert len(refused) == 1
    assert (refused[0]["log_level"], said in refused[0]["error"]) == ("error", True), refused
    assert rig.switch.take() is predictor
    # The third look saw nothing new and read nothing.
    assert rig.outcomes() == {"swapped": 0, "unchanged": 0, "refused": 2, "overdue": 0}
    assert rig.value("reload_failed", role="live") == 1
    serve(rig.registry, "m/2")
    rig.watcher.look()
    assert rig.in_use == rig.digests[1]
    assert rig.value("reload_failed", role="live") == 0


def test_with_a_public_key_only_what_is_signed_takes_over(bundle_path: Path, tmp_path: Path) -> None:
    """F35: whoever can write the registry and holds no key changes nothing, neither at the start nor later."""
    registry, (private, public) = tmp_path / "registry", key_pair(tmp_path / "keys")
    first, second = registry_of_two(bundle_path, registry)
    settings, metrics = ModelSettings(path=registry, public_key_file=public, n_threads=1), Metrics()
    with pytest.raises(BundleError, match="not signed"):
        live_predictor(settings, metrics)
    serve(registry, "m/1", sign_key=private)
    rig = Rig(registry, tmp_path, (first, second), metrics, *live_predictor(settings, metrics))
    for sign_key, said in ((None, "not signed"), (key_pair(tmp_path / "stranger")[0], "not of this digest")):
        serve(registry, "m/2", sign_key=sign_key)
        with structlog.testing.capture_logs() as lines:
            rig.watcher.look()
        assert said in lines[0]["error"]
        assert (rig.in_use, rig.value("reload_failed", role="live")) == (first, 1)
    serve(registry, "m/2", sign_key=private)
    rig.watcher.look()
    assert (rig.in_use, rig.value("reload_failed", role="live")) == (second, 0)


def test_a_refused_bundle_is_tried_again_after_a_while(rig: Rig) -> None:
    """The fault may lie with the volume; the files look the same when it is gone."""
    rig.policy.write_text("{")
    rig.watcher.look()
    rig.watcher.look()
    assert rig.outcomes()["refused"] == 1
    rig.watcher._retry_at = 0.0
    rig.watcher.look()
    assert rig.outcomes()["refused"] == 2


def test_a_new_policy_changes_decisions_and_not_probabilities(rig: Rig) -> None:
    """Another advertiser's file, within seconds."""
    poem = [[Turn(Role.USER, "write a poem about my cat")]]
    (strict,), _ = rig.switch.take().classifier.classify(poem)
    _write_policy(rig.policy, "2", "JM")
    rig.watcher.look()
    (loose,), _ = rig.switch.take().classifier.classify(poem)
    assert isinstance(strict, Classification)
    assert isinstance(loose, Classification)
    assert strict.probabilities == pytest.approx(loose.probabilities, abs=2e-6)
    assert strict.judgement.decision is not Decision.ALLOW
    assert loose.judgement.decision is Decision.ALLOW


def test_a_policy_that_is_not_understood_leaves_the_old_one(rig: Rig) -> None:
    """A typing error in a ConfigMap must not stop the workers."""
    predictor = rig.switch.take()
    rig.policy.write_text("name = 'family'\nversion = '2'\nband = ['D']\n")
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert "not a usable policy" in lines[0]["error"]
    assert rig.switch.take() is predictor


def test_another_policy_under_the_same_version_is_refused(rig: Rig) -> None:
    """Readers tell verdicts apart by the policy's name and version."""
    _write_policy(rig.policy, "1", "DM")
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert "under the name and version in use, family 1; expected a new version" in lines[0]["error"]
    assert rig.value("reload_failed", role="live") == 1
    _write_policy(rig.policy, "2", "DM")
    rig.watcher.look()
    assert rig.switch.take().builder.policy.version == "2"


def test_files_that_move_while_they_are_read_are_no_fault_yet(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is being copied is read again when it is complete; nobody is called."""
    serve(rig.registry, "m/2")
    model = rig.registry / "m" / "2" / "model.onnx"
    whole = model.read_bytes()
    model.write_bytes(whole[:1_000])
    load = rig.watcher._load

    def load_while_it_is_written(*, is_same_bundle: bool) -> str | None:
        fault = load(is_same_bundle=is_same_bundle)
        model.write_bytes(whole)
        return fault

    monkeypatch.setattr(rig.watcher, "_load", load_while_it_is_written)
    rig.watcher.look()
    assert rig.outcomes() == {"swapped": 0, "unchanged": 0, "refused": 0, "overdue": 0}
    rig.watcher.look()
    assert rig.in_use == rig.digests[1]


def test_the_thread_loads_when_it_is_asked_although_it_never_looks_by_itself(rig: Rig) -> None:
    """An interval of 0 leaves SIGHUP."""
    offered: list[Predictor] = []
    settings = rig.watcher._settings.model_copy(update={"reload_interval_s": 0})
    watcher = ReloadWatcher(settings, loaded=None, seen=None, offer=offered.append, metrics=rig.metrics)
    watcher.start()
    watcher.ask()
    serve(rig.registry, "m/2")
    watcher.ask()
    watcher._inbox.put("stop")
    watcher._thread.join()
    watcher.close()
    assert offered[-1].builder.model.digest == rig.digests[1]


@pytest.mark.parametrize("name", ["current.json", "m/1/manifest.json", "m/1/model.onnx"])
def test_a_named_pipe_in_the_place_of_a_file_does_not_stop_the_looks(rig: Rig, name: str) -> None:
    """Opening it would wait for a writer for ever: no later promotion would be seen, and nobody told."""
    (rig.registry / name).unlink()
    os.mkfifo(rig.registry / name)
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert "no regular file" in lines[0]["error"]
    assert rig.value("reload_failed", role="live") == 1
    (rig.registry / name).unlink()
    serve(rig.registry, "m/2")
    rig.watcher.look()
    assert (rig.in_use, rig.value("reload_failed", role="live")) == (rig.digests[1], 0)


def test_a_look_that_does_not_end_is_told_of_and_its_end_too(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hung volume answers no call. The time of the last look stands still, which an alert sees by itself."""
    hung, reached = threading.Event(), threading.Event()

    def hang(*_: object) -> Appearance:
        reached.set()
        assert hung.wait(30)
        return Appearance((), ())

    watcher = ReloadWatcher(
        rig.watcher._settings,
        loaded=None,
        seen=Appearance((), ()),
        offer=lambda _: None,
        metrics=rig.metrics,
        deadline_s=0.05,
    )
    monkeypatch.setattr("worker.reload.watcher.appearance", hang)
    with structlog.testing.capture_logs() as lines:
        watcher.start()
        assert reached.wait(10)
        wait_until(lambda: lines, timeout_s=10, what=lambda: "nothing was told")
        assert (rig.value("reload_failed", role="live"), rig.outcomes()["overdue"]) == (1, 1)
        assert rig.value("reload_last_look_timestamp_seconds", role="live") == 0
        hung.set()
        wait_until(lambda: len(lines) > 1, timeout_s=10, what=lambda: "its end was not told")
        watcher.close()
    assert [line["event"] for line in lines] == ["reload_overdue", "reload_overdue_end"]
    assert "check the volume" in lines[0]["error"]
    assert rig.value("reload_failed", role="live") == 0
    assert (rig.value("reload_last_look_timestamp_seconds", role="live") or 0) > 1_700_000_000


def test_a_look_that_ends_in_time_is_not_told_of(rig: Rig) -> None:
    """And says when it was."""
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert (lines, rig.outcomes()["overdue"]) == ([], 0)
    assert (rig.value("reload_last_look_timestamp_seconds", role="live") or 0) > 1_700_000_000


class StuckClassifier:
    """A classifier whose warm-up leaves an inference behind."""

    n_abandoned = 1
    n_made = 0

    def __init__(self, *_: object, **__: object) -> None:
        type(self).n_made += 1

    def warm_up(self) -> None:
        """Give up."""
        raise InferenceStalled("too late", n_timeouts=4, n_abandoned=1)


def test_a_bundle_whose_inferences_never_end_is_tried_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attempt costs a core and a model's memory, and one a minute would end the worker."""
    monkeypatch.setattr(predictor_module, "Classifier", StuckClassifier)
    rig.watcher.look()
    serve(rig.registry, "m/2")
    for _ in range(3):
        rig.watcher.look(asked=True)
    assert StuckClassifier.n_made == 1
    assert rig.outcomes() == {"swapped": 0, "unchanged": 0, "refused": 3, "overdue": 0}
    assert rig.in_use == rig.digests[0]
    monkeypatch.undo()
    serve(rig.registry, "m/1")
    rig.watcher.look()
    assert rig.value("reload_failed", role="live") == 0


@pytest.fixture
def taxonomies(tmp_path: Path) -> Path:
    """Return a registry of two bundles of two taxonomies; it serves the one of toxicity, `m/2` is uncalibrated pets."""
    registry = tmp_path / "taxonomies"
    tiny_bundle(registry / "m" / "1", shipped_taxonomy("toxicity"), {"stupid": "toxic"})
    tiny_bundle(registry / "m" / "2", PETS, {"cat": "cat"}, n_chats_each=0)
    serve(registry, "m/1")
    return registry


def _live(registry: Path, policy: Path | None = None) -> Rig:
    metrics, settings = Metrics(), ModelSettings(path=registry, policy_path=policy, n_threads=1)
    return Rig(registry, policy or registry, ("", ""), metrics, *live_predictor(settings, metrics))


def test_a_bundle_of_another_taxonomy_takes_over_with_its_own_policy(taxonomies: Path) -> None:
    """Both default policies are called "default 1": the taxonomy and the bundle's digest tell them apart."""
    rig = _live(taxonomies)
    assert rig.value("model_calibrated", role="live") == 1
    serve(taxonomies, "m/2")
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
        predictor = rig.switch.take()
    assert rig.outcomes() == {"swapped": 1, "unchanged": 0, "refused": 0, "overdue": 0}
    assert (predictor.builder.taxonomy.name, predictor.builder.policy_in_use) == ("pets", Policy.default_for(PETS))
    shown = {line["event"]: line for line in lines}
    assert shown["model_swapped"]["taxonomy"] == {"name": "pets", "version": "1"}
    assert shown["model_swapped"]["calibrated"] is False
    assert "labelled chats" in shown["model_not_calibrated"]["remedy"]
    assert rig.value("model_calibrated", role="live") == 0


def test_a_bundle_that_the_policy_file_is_not_for_leaves_the_old_one_in_use(taxonomies: Path, tmp_path: Path) -> None:
    """Its categories would be banned by nobody. Both names are told, and an alarm is raised."""
    policy = tmp_path / "strict.toml"
    policy.write_text(
        'name = "strict"\nversion = "1"\ntaxonomy = "toxicity"\nbanned = ["toxic"]\n'
        "max_banned_to_safe_rate = 0.1\nmax_safe_to_banned_rate = 0.1\n"
    )
    rig = _live(taxonomies, policy)
    predictor = rig.switch.take()
    serve(taxonomies, "m/2")
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert rig.switch.take() is predictor
    assert (lines[0]["event"], rig.value("reload_failed", role="live")) == ("reload_refused", 1)
    assert "toxicity" in lines[0]["error"]
    assert "pets" in lines[0]["error"]


def test_a_policy_of_another_taxonomy_leaves_the_old_one_in_use(rig: Rig) -> None:
    """A ConfigMap that was meant for another classifier's workers."""
    predictor = rig.switch.take()
    rig.policy.write_text(POLICY.format(version="2", banned=["toxic"]) + 'taxonomy = "toxicity"\n')
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert rig.switch.take() is predictor
    assert "toxicity" in lines[0]["error"]
    assert "chat-13" in lines[0]["error"]
    rig.policy.write_text(POLICY.format(version="2", banned=["D", "toxic"]))
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert "'toxic'" in lines[0]["error"]
    assert rig.switch.take() is predictor


def _unknown_code(manifest: dict[str, Any]) -> None:
    manifest["labels"] = ["toxic", "jailbreak", "not_toxic"]


def _twice_the_same(manifest: dict[str, Any]) -> None:
    manifest["taxonomy"]["categories"][1]["code"] = "not_toxic"


def _foreign_policy(manifest: dict[str, Any]) -> None:
    manifest["policy"] = Policy.default_for(PETS).model_dump(mode="json")


def _another_taxonomy(manifest: dict[str, Any]) -> None:
    manifest["taxonomy"] = PETS.model_dump(mode="json")
    manifest |= {"labels": list(PETS.codes), "policy": None}


@pytest.mark.parametrize(
    ("mix_up", "said"),
    [
        pytest.param(_unknown_code, "labels are", id="columns in another order"),
        pytest.param(_twice_the_same, "not_toxic", id="a code twice"),
        pytest.param(_foreign_policy, "pets", id="another taxonomy's default policy"),
        pytest.param(_another_taxonomy, "calibration.json", id="another taxonomy over the same files"),
    ],
)
def test_a_bundle_whose_parts_are_of_two_taxonomies_leaves_the_old_one_in_use(
    taxonomies: Path, mix_up: Callable[[dict[str, Any]], None], said: str
) -> None:
    """Each is a way to publish one category under the name of another."""
    rig = _live(taxonomies)
    predictor = rig.switch.take()
    mixed = tiny_bundle(taxonomies / "m" / "3", shipped_taxonomy("toxicity"), {"stupid": "jailbreak"})
    manifest = orjson.loads((mixed / "manifest.json").read_bytes())
    mix_up(manifest)
    (mixed / "manifest.json").write_bytes(orjson.dumps(manifest))
    serve(taxonomies, "m/3")
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert lines[0]["event"] == "reload_refused"
    assert said in lines[0]["error"]
    assert rig.switch.take() is predictor


def test_a_model_of_another_number_of_categories_leaves_the_old_one_in_use(taxonomies: Path) -> None:
    """Right digests, right manifest, and the model of another bundle."""
    rig = _live(taxonomies)
    predictor = rig.switch.take()
    model = (taxonomies / "m" / "2" / "model.onnx").read_bytes()
    bundle_variant(taxonomies / "m" / "1", taxonomies / "m" / "3", version="3.0", files={"model.onnx": model})
    serve(taxonomies, "m/3")
    with structlog.testing.capture_logs() as lines:
        rig.watcher.look()
    assert "expected" in lines[0]["error"]
    assert "3 columns" in lines[0]["error"]
    assert rig.switch.take() is predictor
