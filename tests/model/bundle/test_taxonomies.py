"""A bundle carries its taxonomy: any categories are classified, decided and described by the same code."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from model import Bundle, BundleError, Classification, Classifier, PolicyError, load_bundle, load_policy
from schemas import CHAT_13, DEFAULT_POLICY, DecidedBy, Decision, Policy, Role, Taxonomy, Turn, taxonomy_of
from tests.command_line import run_main
from tests.tiny_bundle import tiny_bundle

TOXICITY, COMMUNITY = taxonomy_of("toxicity"), taxonomy_of("community")
POLICY: dict[str, Any] = {
    "name": "strict",
    "version": "1",
    "taxonomy": "toxicity",
    "banned": ["toxic"],
    "max_banned_to_safe_rate": 0.05,
    "max_safe_to_banned_rate": 0.02,
}


def made_of(n_categories: int, *, n_banned: int = 0) -> Taxonomy:
    """Return a taxonomy of this many categories."""
    return Taxonomy.model_validate(
        {
            "name": "many",
            "version": "1",
            "categories": [{"code": f"c{i}", "name": f"{i}", "banned": i < n_banned} for i in range(n_categories)],
        }
    )


def classify(bundle: Bundle, text: str, policy: Policy | None = None) -> Classification:
    """Classify one message under the bundle's policy."""
    classifier = Classifier(bundle, policy or bundle.default_policy, n_threads=1)
    (found,), _ = classifier.classify([[Turn(Role.USER, text)]])
    assert isinstance(found, Classification)
    return found


def test_the_shipped_bundle_is_of_chat_13(bundle: Bundle) -> None:
    """Its manifest is from before taxonomies, as all of format 1 are."""
    assert bundle.manifest.taxonomy is None
    assert (bundle.taxonomy, bundle.default_policy, bundle.is_calibrated) == (CHAT_13, DEFAULT_POLICY, True)


def test_a_bundle_of_another_taxonomy_is_classified_and_decided(tmp_path: Path) -> None:
    """Codes of more than a letter, and their own banned set."""
    bundle = load_bundle(tiny_bundle(tmp_path / "b", TOXICITY))
    found = classify(bundle, "jailbreak")
    assert found.category == "jailbreak"
    assert list(found.probabilities) == list(found.evidence) == ["not_toxic", "toxic", "jailbreak"]
    assert (found.judgement.decision, found.judgement.decided_by) == (Decision.BLOCK, DecidedBy.MODEL)
    assert classify(bundle, "not_toxic").judgement.decision is Decision.ALLOW


def test_a_taxonomy_that_bans_nothing_allows_everything(tmp_path: Path) -> None:
    """A community server asks what a message is, not whether it may stand there."""
    bundle = load_bundle(tiny_bundle(tmp_path / "b", COMMUNITY))
    judgement = classify(bundle, "question").judgement
    assert (judgement.banned_probability, judgement.banned_to_safe_risk) == (0.0, 0.0)
    assert (judgement.decision, judgement.decided_by) == (Decision.ALLOW, DecidedBy.NOTHING_BANNED)


@pytest.mark.parametrize("n_categories", [2, 256])
def test_taxonomies_of_any_size_are_served(tmp_path: Path, n_categories: int) -> None:
    """From two categories to as many as a taxonomy may have."""
    bundle = load_bundle(tiny_bundle(tmp_path / "b", made_of(n_categories, n_banned=1), n_chats_each=50))
    found = classify(bundle, f"c{n_categories - 1}")
    assert found.category == f"c{n_categories - 1}"
    assert len(found.probabilities) == n_categories
    assert found.judgement.decision is Decision.ALLOW
    assert classify(bundle, "c0").judgement.decision is Decision.BLOCK


def test_a_bundle_that_was_never_calibrated_allows_nothing(tmp_path: Path) -> None:
    """No labelled chat has shown what its probabilities are worth."""
    bundle = load_bundle(tiny_bundle(tmp_path / "b", TOXICITY, n_chats_each=0))
    assert not bundle.is_calibrated
    for text in ("not_toxic", "toxic"):
        found = classify(bundle, text)
        assert found.unevaluated == ("uncalibrated",)
        assert (found.judgement.banned_to_safe_risk, found.judgement.decision) == (1.0, Decision.REVIEW)
        assert found.judgement.decided_by is DecidedBy.UNEVALUATED
    nothing = classify(bundle, "toxic", Policy(**{**POLICY, "banned": []})).judgement
    assert (nothing.banned_to_safe_risk, nothing.decision) == (1.0, Decision.ALLOW)
    assert nothing.decided_by is DecidedBy.NOTHING_BANNED


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param({"taxonomy": "chat-13", "banned": ["M"]}, "'chat-13'; the bundle's is 'toxicity'", id="another"),
        pytest.param({"banned": ["toxic", "rude"]}, "'rude'; taxonomy toxicity 1 has not_toxic, toxic", id="unknown"),
        pytest.param({"banned": list(TOXICITY.codes)}, "bans all 3 categories of taxonomy toxicity 1", id="all"),
    ],
)
def test_a_policy_over_something_else_is_refused_with_both_names(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    """Where it is read, and where it meets the bundle."""
    bundle = load_bundle(tiny_bundle(tmp_path / "b", TOXICITY))
    path = tmp_path / "p.json"
    path.write_bytes(orjson.dumps(POLICY | change))
    with pytest.raises(PolicyError, match=complaint):
        load_policy(path, bundle)
    with pytest.raises(BundleError, match=rf"tiny-toxicity 1: policy 'strict' .*{complaint}"):
        Classifier(bundle, load_policy(path), n_threads=1)


def test_the_default_policy_of_a_bundle_is_used_where_none_is_named(tmp_path: Path) -> None:
    """A bundle brings its own; a file that was written before taxonomies is one over chat-13."""
    own = Policy.model_validate(POLICY)
    bundle = load_bundle(tiny_bundle(tmp_path / "b", TOXICITY, policy=own))
    assert load_policy(None, bundle) == own
    assert load_policy(None, load_bundle(tiny_bundle(tmp_path / "c", COMMUNITY))).banned == frozenset()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param({"labels": ["toxic", "not_toxic", "jailbreak"]}, "in this order", id="labels in another order"),
        pytest.param({"taxonomy": CHAT_13.model_dump(mode="json")}, "labels are", id="another taxonomy"),
        pytest.param({"taxonomy": {"name": "x"}}, "version", id="no taxonomy"),
        pytest.param({"policy": DEFAULT_POLICY.model_dump(mode="json")}, "over taxonomy 'chat-13'", id="policy"),
        pytest.param(
            {"format_version": 1}, "calibrated, encoder, evidence, languages, policy, taxonomy is there", id="format 1"
        ),
        pytest.param({"calibrated": False}, "files are", id="calibration chats of none"),
        pytest.param(
            {"class_groups": [{"codes": ["toxic"], "temperature": 1.0, "bias": 0.0}]}, "class_groups", id="groups"
        ),
    ],
)
def test_a_manifest_that_contradicts_its_taxonomy_is_refused(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    """Read with other labels, a model answers with confidence, and wrongly."""
    folder = tiny_bundle(tmp_path / "b", TOXICITY)
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    (folder / "manifest.json").write_bytes(orjson.dumps(manifest | change))
    with pytest.raises(BundleError, match=rf"(?s)not a manifest this version understands.*{complaint}"):
        load_bundle(folder)


def test_a_model_of_another_width_is_refused(tmp_path: Path) -> None:
    """Somebody put the model of one taxonomy beside the manifest of another."""
    wide, narrow = tiny_bundle(tmp_path / "b", TOXICITY), tiny_bundle(tmp_path / "c", made_of(2))
    manifest = orjson.loads((narrow / "manifest.json").read_bytes())
    manifest["files"]["model.onnx"] = orjson.loads((wide / "manifest.json").read_bytes())["files"]["model.onnx"]
    (narrow / "manifest.json").write_bytes(orjson.dumps(manifest))
    (narrow / "model.onnx").write_bytes((wide / "model.onnx").read_bytes())
    bundle = load_bundle(narrow)
    with pytest.raises(BundleError, match=r"expected .* logits with 2 columns"):
        Classifier(bundle, bundle.default_policy, n_threads=1)


def test_the_commands_know_any_taxonomy(tmp_path: Path) -> None:
    """What a person tries first with a bundle of their own."""
    folder = tiny_bundle(tmp_path / "b", TOXICITY, n_chats_each=16)
    assert run_main("model", "verify", "--bundle", folder).returncode == 0
    shown = run_main("model", "classify", "--bundle", folder, "jailbreak").stdout
    assert b"jailbreak" in shown
    (line,) = run_main("model", "classify", "--bundle", folder, "--json", "jailbreak").stdout.splitlines()
    answer = orjson.loads(line)
    assert answer["taxonomy"] == {"name": "toxicity", "version": "1"}
    assert answer["category"] == {"code": "jailbreak", "name": "jailbreak"}
    assert (answer["decision"], answer["decided_by"]) == ("review", "model")
    info = orjson.loads(run_main("model", "info", "--bundle", folder, "--json").stdout)
    assert info["taxonomy"] == TOXICITY.model_dump(mode="json")
    assert info["calibration"] == {"n_banned": 32, "n_banned_for_allow": 19, "n_safe": 16, "n_safe_for_block": 49}
    assert b"no chat can get it" in run_main("model", "info", "--bundle", folder).stdout


def test_the_commands_say_that_a_bundle_is_not_calibrated(tmp_path: Path) -> None:
    """Every decision is `review`, and a person must see why."""
    folder = tiny_bundle(tmp_path / "b", TOXICITY, n_chats_each=0)
    assert run_main("model", "verify", "--bundle", folder).returncode == 0
    assert b"(unevaluated: uncalibrated)" in run_main("model", "classify", "--bundle", folder, "toxic").stdout
    assert b"not calibrated" in run_main("model", "info", "--bundle", folder).stdout
