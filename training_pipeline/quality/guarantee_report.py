"""The report of `verify-guarantee`: the bundle's calibration chats split again, and fresh chats if there are some."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table

from model.bundle.bundle import Bundle
from model.classifier import Classifier
from schemas import Decision, Policy
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.data.stage_files import digests
from training_pipeline.quality.evaluate import predict
from training_pipeline.quality.guarantee import QUANTILES, BundleCheck, SplitCheck, check_bundle, check_by_splits
from training_pipeline.quality.metrics import share

_SPLITS: Final = "splits"
_OWN_CURVES: Final = "own_curves"


def guarantee_report(
    bundle: Bundle, data: Sequence[Path], policy: Policy, *, n_splits: int, seed: int, n_threads: int
) -> dict[str, Any]:
    """Return all checks of a bundle, ready for JSON; `holds` is whether all of them hold.

    Args:
        bundle: Its calibration chats are split again and again.
        data: Labelled chats that chose nothing, on which the bundle's own curves are measured too; those whose
            annotators disagree are left out.
        policy: Banned categories and targets.
        n_splits: Number of splits.
        seed: Decides the splits.
        n_threads: Inference threads.

    Raises:
        ValueError: a file cannot be read, or holds too few banned or safe chats; or there is no guarantee to check.
    """
    if not (policy.banned and bundle.is_calibrated):
        found = "is not calibrated" if policy.banned else f"has nothing to promise: policy {policy.name!r} bans nothing"
        raise ValueError(f"{bundle.ref.name} {bundle.ref.version} {found}; expected a guarantee that can be checked")
    labels, codes = bundle.calibration_labels, bundle.taxonomy.codes
    checks = check_by_splits(bundle.calibration_evidence, labels, policy, codes, n_splits=n_splits, seed=seed)
    parts: dict[str, dict[str, Any]] = {
        "calibration chats": {
            "n_chats": len(labels),
            _SPLITS: _as_dicts(checks),
        }
    }
    if data:
        parts["fresh chats"] = _on_fresh_chats(bundle, data, policy, n_splits=n_splits, seed=seed, n_threads=n_threads)
    results = [check for part in parts.values() for name in (_SPLITS, _OWN_CURVES) for check in part.get(name, [])]
    return {
        "bundle": bundle.ref.model_dump(mode="json"),
        "policy": policy.model_dump(mode="json"),
        "n_splits": n_splits,
        "holds": all(check["holds"] for check in results),
        "parts": parts,
    }


def _on_fresh_chats(
    bundle: Bundle, data: Sequence[Path], policy: Policy, *, n_splits: int, seed: int, n_threads: int
) -> dict[str, Any]:
    chats = read_labelled_chats(data, bundle.manifest.windowing, frozenset(), bundle.taxonomy)
    chats = chats.take(np.flatnonzero(chats.agreed))
    classifier = Classifier(bundle, policy, n_threads=n_threads)
    answers = predict(classifier, chats)
    truly_banned = classifier.banned_columns[answers.labels]
    allowed, blocked = (answers.decided(decision) for decision in (Decision.ALLOW, Decision.BLOCK))
    codes, evidence = bundle.taxonomy.codes, answers.summed
    splits = check_by_splits(evidence, answers.labels, policy, codes, n_splits=n_splits, seed=seed)
    own = check_bundle(bundle.risk_curves(policy), evidence, answers.labels, policy, codes)
    return {
        "files": digests(data),
        "n_chats": len(chats),
        _SPLITS: _as_dicts(splits),
        _OWN_CURVES: _as_dicts(own),
        "banned_allowed_as_served": round(share(allowed, truly_banned), 4),
        "safe_blocked_as_served": round(share(blocked, ~truly_banned), 4),
    }


def _as_dicts(checks: Sequence[SplitCheck | BundleCheck]) -> list[dict[str, Any]]:
    return [{**asdict(check), "error": check.error.value, "holds": check.holds} for check in checks]


def print_guarantee(report: Mapping[str, Any], console: Console) -> None:
    """Print the tables for people."""
    for name, part in report["parts"].items():
        title = f"{name}: {report['n_splits']} splits of {part['n_chats']}, chosen on one half, measured on the other"
        console.print(_splits_table(part[_SPLITS], title))
        if _OWN_CURVES in part:
            console.print(_own_curves_table(part[_OWN_CURVES], f"{name}: the bundle's own thresholds"))
            console.print(
                f"as served, with the guard on the most probable category: banned allowed "
                f"{part['banned_allowed_as_served']}, safe blocked {part['safe_blocked_as_served']}"
            )


def _splits_table(checks: Sequence[Mapping[str, Any]], title: str) -> Table:
    at = " / ".join(f"{q:.0%}" for q in QUANTILES)
    columns = ("error", "target", "chosen on", "fresh", "exact mean", "mean", f"exact {at}", f"found {at}", "")
    table = Table(*columns, title=title)
    for check in checks:
        exact, found = (" / ".join(f"{q:.3f}" for q in check[key]) for key in ("expected_quantiles", "quantiles"))
        numbers = (
            check["target"],
            check["n_calibration"],
            check["n_fresh"],
            check["expected_rate"],
            check["mean_rate"],
        )
        table.add_row(check["error"], *map(str, numbers), exact, found, _verdict(check))
    return table


def _own_curves_table(checks: Sequence[Mapping[str, Any]], title: str) -> Table:
    table = Table("error", "target", "errors", "chats", "rate", "95 % interval", "P(as many or more)", "", title=title)
    for check in checks:
        numbers = (check["target"], check["n_errors"], check["n_fresh"], check["rate"])
        interval = f"{check['low']:.4f} to {check['high']:.4f}"
        probability = f"{check['probability_of_as_many']:.4f}"
        table.add_row(check["error"], *map(str, numbers), interval, probability, _verdict(check))
    return table


def _verdict(check: Mapping[str, Any]) -> str:
    return "holds" if check["holds"] else "FAILS"
