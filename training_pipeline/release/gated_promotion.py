"""Promote a bundle if the gate lets it: compare it with the one in service, then copy it and set the pointer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from model.bundle.bundle import Bundle, load_bundle
from model.bundle.policy_file import load_policy
from model.bundle.registry import POINTER_NAME, RegistryEntry
from model.bundle.thresholds import thresholds_for
from model.classifier import Classifier
from model.errors import BundleError
from schemas import Policy
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.data.stage_files import digests
from training_pipeline.probes.gate import probe_lines
from training_pipeline.probes.measure import measure_folder
from training_pipeline.quality.evaluate import predict
from training_pipeline.release.gate import GateMargins, compare_bundles, print_gate
from training_pipeline.release.promote import promote


class GateRefused(ValueError):  # noqa: N818  the name says what happened
    """The candidate is not shown to be as good as the bundle in service; nothing was changed."""


@dataclass(frozen=True)
class PromotionRequest:
    """What to promote, where to, and what it must show first."""

    bundle: Path
    registry: Path
    data: Sequence[Path] = ()
    """Labelled chats that neither bundle was trained on; not needed for the first bundle of a registry."""
    probes: Path | None = None
    """Folder of probes; None leaves the identity gap out of the gate."""
    margins: GateMargins = field(default_factory=GateMargins)
    force_reason: str | None = None
    """Promote whatever the gate says, and record this."""
    sign_key: Path | None = None
    policy: Path | None = None
    """Policy file; None takes the candidate's default policy."""
    n_threads: int = 1


def gated_promotion(request: PromotionRequest, console: Console) -> RegistryEntry:
    """Run the gate and promote; print the gate's table.

    Raises:
        GateRefused: a figure fails and nothing forces it, or there are no chats to compare on.
        BundleError: a bundle is refused.
    """
    candidate = load_bundle(request.bundle)
    policy = load_policy(request.policy, candidate)
    _refuse_unready(request.bundle, candidate, policy, request)
    gate: dict[str, Any] | None = None
    reason = request.force_reason
    if (request.registry / POINTER_NAME).exists():
        current = load_bundle(request.registry)
        if current.digest == candidate.digest:
            left = "nothing was changed" if request.sign_key is None else "only its signature is brought up to date"
            console.print(f"{request.registry} serves {candidate.digest[:19]} already; {left}")
        elif not request.data and reason is None:
            raise GateRefused("--data: no labelled chats to compare with the bundle in service; name some, or --force")
        elif request.data and current.taxonomy.codes != candidate.taxonomy.codes:
            raise GateRefused(
                f"{request.bundle}: is of taxonomy {candidate.taxonomy.ref}, the bundle in service of "
                f"{current.taxonomy.ref}: their answers cannot be compared; use a registry of its own, or --force "
                "--reason TEXT without --data"
            )
        elif request.data:
            gate = _run_gate(current, candidate, policy, request, console)
            if not gate["passes"] and reason is None:
                failed = "; ".join(line["figure"] for line in gate["figures"] if not line["passes"])
                raise GateRefused(
                    f"{request.bundle}: not promoted; fails: {failed}; train further, compare on more chats, "
                    "or overrule it with --force --reason TEXT"
                )
    else:
        console.print(f"{request.registry} serves nothing yet: there is no bundle to compare with")
    return promote(request.bundle, request.registry, reason=reason, gate=gate, sign_key=request.sign_key)


def _refuse_unready(path: Path, bundle: Bundle, policy: Policy, request: PromotionRequest) -> None:
    """Check what `python -m model verify` checks, before any worker meets it."""
    found = thresholds_for(bundle.risk_curves(bundle.default_policy), bundle.default_policy)
    if found != bundle.manifest.thresholds:
        raise BundleError(
            f"{path}: thresholds are {found}, the manifest says {bundle.manifest.thresholds}; export again"
        )
    Classifier(bundle, policy, n_threads=request.n_threads).warm_up()


def _run_gate(
    current: Bundle, candidate: Bundle, policy: Policy, request: PromotionRequest, console: Console
) -> dict[str, Any]:
    chats = read_labelled_chats(request.data, candidate.manifest.windowing, frozenset(), candidate.taxonomy)
    # Where the annotators disagree, a difference between two models says little about either.
    chats = chats.take(np.flatnonzero(chats.agreed))
    classifiers = [Classifier(bundle, policy, n_threads=request.n_threads) for bundle in (current, candidate)]
    answers = [predict(classifier, chats) for classifier in classifiers]
    lines = compare_bundles(answers[0], answers[1], classifiers[1].banned_columns, request.margins)
    if request.probes is not None:
        measured = [measure_folder(classifier, request.probes) for classifier in classifiers]
        lines += probe_lines(measured[0], measured[1], max_identity_gap=request.margins.identity_gap)
    print_gate(lines, console)
    return {
        "against": current.digest,
        "data": digests(request.data),
        "n_chats": len(chats),
        "policy": f"{policy.name} {policy.version}",
        "margins": request.margins.model_dump(mode="json"),
        "figures": [line.as_dict() for line in lines],
        "passes": all(line.passes for line in lines),
    }
