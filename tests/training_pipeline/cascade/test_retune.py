"""Early answers that count more or less often, in a bundle that is finished."""

from pathlib import Path

import numpy as np
import pytest

from model import load_bundle
from model.inference.session import OnnxSession
from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.cascade.early_exit_fit import EarlyExitOptions
from training_pipeline.cascade.retune import Early, RetuneRequest, retune
from training_pipeline.train.config import TrainConfig

TINY = EarlyExitOptions(after_layers=(1,), confidence=0.0, margin=0.5)


@pytest.fixture
def bundle(tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return a bundle whose every row leaves after the first layer."""
    out = tmp_path / "bundle"
    export_bundle(
        ExportRequest(
            tiny_run,
            [labelled_files[0]],
            out,
            "tiny",
            "0.1",
            [labelled_files[1]],
            encoder=tiny_encoder,
            early_exits=TINY,
        )
    )
    return out


def _request(
    bundle: Path, files: tuple[Path, Path], out: Path, early: Early, *, seed: int | None = None
) -> RetuneRequest:
    config = TrainConfig(calibration_ratio=0.5) if seed is None else TrainConfig(calibration_ratio=0.5, seed=seed)
    return RetuneRequest(bundle, [files[0]], config, out, "0.2", early, [files[1]])


def test_exits_that_nothing_takes_give_the_answers_and_the_calibration_of_a_bundle_without(
    bundle: Path, tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The way back from cheap to thorough, without the run."""
    export_bundle(
        ExportRequest(
            tiny_run, [labelled_files[0]], tmp_path / "none", "tiny", "0.1", encoder=tiny_encoder, early_exits=None
        )
    )
    retune(_request(bundle, labelled_files, tmp_path / "out", Early(exit_confidence=2.0)))
    found, plain, cheap = (load_bundle(path) for path in (tmp_path / "out", tmp_path / "none", bundle))
    np.testing.assert_allclose(found.calibration_probabilities, plain.calibration_probabilities, atol=1e-4)
    assert np.abs(cheap.calibration_probabilities - plain.calibration_probabilities).max() > 1e-2
    assert found.manifest.metrics["early_exits"]["confidence"] == 2.0
    assert found.manifest.version == "0.2"
    tokenizer = ConversationTokenizer(found.tokenizer_json, max_tokens=64)
    rows = tokenizer.encode(["how do I bake bread", "write a story about a dragon"])
    answers = [
        OnnxSession(one.model, n_threads=1, pad_id=tokenizer.pad_id, n_categories=13).logits(rows)
        for one in (found, plain)
    ]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-4)


def test_chats_that_it_was_not_calibrated_on_are_refused(
    bundle: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Else it would be calibrated on chats that trained it."""
    with pytest.raises(ValueError, match="other probabilities"):
        retune(_request(bundle, labelled_files, tmp_path / "out", Early(exit_confidence=0.9), seed=3))
    assert not (tmp_path / "out").exists()


def test_a_part_that_is_not_there_cannot_change(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A weight for it would be lost in silence."""
    plain = tmp_path / "plain"
    export_bundle(
        ExportRequest(
            tiny_run,
            [labelled_files[0]],
            plain,
            "tiny",
            "0.1",
            encoder=tiny_encoder,
            first_stage=None,
            early_exits=None,
        )
    )
    for early, said in (
        (Early(), "nothing is to change"),
        (Early(blend_weight=0.1), "has no first stage"),
        (Early(exit_confidence=0.9), "has no exits"),
    ):
        with pytest.raises(ValueError, match=said):
            retune(_request(plain, labelled_files, tmp_path / "out", early))
