from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from model import load_bundle
from model.windowing import Windowing
from schemas import CHAT_13
from tests.training_pipeline.distil.teachers import CountingTeacher
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.command_line import app
from training_pipeline.distil import soft_labels
from training_pipeline.distil.soft_labels import write_soft_labels
from training_pipeline.distil.student_chats import Mixing, write_student_chats
from training_pipeline.distil.teachers import TeacherAnswers, load_teacher, mean_probabilities, unseen_by_all
from training_pipeline.linear.linear_training import LinearOptions, read_out_of_fold, train_linear
from training_pipeline.train.config import TrainConfig, read_config


def _rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_soft_labels_are_added_to_annotated_and_bare_chats_and_rejects_are_named(
    labelled_files: tuple[Path, Path], unlabelled: Path, tmp_path: Path
) -> None:
    """No chat is dropped silently, and what annotators said is kept beside what teachers say."""
    report = write_soft_labels(
        [labelled_files[0], unlabelled], tmp_path / "soft.jsonl", TeacherAnswers([CountingTeacher()]), taxonomy=CHAT_13
    )
    rows = _rows(tmp_path / "soft.jsonl")
    assert [row["labelled"] for row in rows] == [True] * 200 + [False] * 40
    assert all(sum(row["soft_label"].values()) == pytest.approx(1, abs=1e-4) for row in rows)
    original = _rows(labelled_files[0])
    assert [row["category"] for row in rows[:200]] == [row["category"] for row in original]
    assert all(row["category"] == max(row["soft_label"], key=row["soft_label"].get) for row in rows[200:])
    (reject,) = _rows(tmp_path / "soft.rejects.jsonl")
    assert reject["position"] == "unlabelled.jsonl:41"
    assert report.options["teachers"] == ["sha256:counting"]


def test_an_interrupted_stage_asks_no_teacher_twice(
    labelled_files: tuple[Path, Path], unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teachers are large and slow; the result is that of an uninterrupted stage."""
    monkeypatch.setattr(soft_labels, "_CHUNK_CHATS", 30)
    paths = [labelled_files[0], unlabelled]
    write_soft_labels(paths, tmp_path / "whole.jsonl", TeacherAnswers([CountingTeacher()]), taxonomy=CHAT_13)
    first, second = CountingTeacher(dies_after=150), CountingTeacher()
    with pytest.raises(KeyboardInterrupt):
        write_soft_labels(paths, tmp_path / "resumed.jsonl", TeacherAnswers([first]), taxonomy=CHAT_13)
    write_soft_labels(paths, tmp_path / "resumed.jsonl", TeacherAnswers([second]), taxonomy=CHAT_13)
    assert sum(first.asked) + sum(second.asked) == 240
    for name in ("jsonl", "rejects.jsonl"):
        assert (tmp_path / f"resumed.{name}").read_bytes() == (tmp_path / f"whole.{name}").read_bytes()
    third = CountingTeacher()
    write_soft_labels(paths, tmp_path / "resumed.jsonl", TeacherAnswers([third]), taxonomy=CHAT_13)
    assert third.asked == []


def test_other_teachers_answer_anew(labelled_files: tuple[Path, Path], tmp_path: Path) -> None:
    """Answers of a teacher that has since been trained again would pass for the new one's."""
    write_soft_labels(
        [labelled_files[1]], tmp_path / "soft.jsonl", TeacherAnswers([CountingTeacher()]), taxonomy=CHAT_13
    )
    other = CountingTeacher(digest="sha256:other")
    write_soft_labels([labelled_files[1]], tmp_path / "soft.jsonl", TeacherAnswers([other]), taxonomy=CHAT_13)
    assert sum(other.asked) == 40


def test_targets_mix_teachers_and_annotators_and_bare_chats_follow_the_teachers_alone(
    labelled_files: tuple[Path, Path], unlabelled: Path, tmp_path: Path
) -> None:
    """Against the definition, for a softened teacher of 0.88 and 0.01."""
    write_soft_labels(
        [labelled_files[0], unlabelled], tmp_path / "soft.jsonl", TeacherAnswers([CountingTeacher()]), taxonomy=CHAT_13
    )
    mixing, config = Mixing(temperature=2.0, hard_ratio=0.25), TrainConfig()
    counts = write_student_chats(tmp_path / "soft.jsonl", tmp_path / "out.jsonl", mixing, config, unseen=None)
    roots = np.sqrt([0.88] + [0.01] * 12)
    top = roots[0] / roots.sum()
    *_, bare = _rows(tmp_path / "out.jsonl")
    assert max(bare["soft_label"].values()) == pytest.approx(top, abs=1e-4)
    for row, soft in zip(_rows(tmp_path / "out.jsonl")[:200], _rows(tmp_path / "soft.jsonl"), strict=False):
        taught = max(soft["soft_label"], key=soft["soft_label"].get)
        expected = 0.75 * top + 0.25 * (taught == row["category"])
        assert row["soft_label"][taught] == pytest.approx(expected, abs=1e-4)
    assert (counts["n_labelled"], counts["n_held_out"], counts["held_out_unseen_by_teachers"]) == (200, 20, False)
    held_out = [row for row in _rows(tmp_path / "out.jsonl") if row["fold"] == "held_out"]
    assert all(row["labelled"] for row in held_out)


def test_chats_that_a_teacher_has_learned_from_do_not_carry_the_students_guarantee(
    labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Unless that is asked for, and then it is said in the record."""
    write_soft_labels(
        [labelled_files[0]], tmp_path / "soft.jsonl", TeacherAnswers([CountingTeacher()]), taxonomy=CHAT_13
    )
    ids = [row["chat_id"] for row in _rows(labelled_files[0])]
    paths = tmp_path / "soft.jsonl", tmp_path / "out.jsonl"
    known = write_student_chats(*paths, Mixing(), TrainConfig(), unseen=frozenset(ids[:15]))
    assert (known["n_held_out"], known["held_out_unseen_by_teachers"]) == (15, True)
    assert [row["chat_id"] for row in _rows(paths[1]) if row["fold"] == "held_out"] == ids[:15]
    with pytest.raises(ValueError, match="split_seed"):
        write_student_chats(*paths, Mixing(), TrainConfig(), unseen=frozenset(ids[:5]))
    allowed = write_student_chats(*paths, Mixing(), TrainConfig(), unseen=frozenset(ids[:5]), allow_seen=True)
    assert (allowed["n_held_out"], allowed["held_out_unseen_by_teachers"]) == (20, False)


def test_a_run_teaches_with_its_calibrated_probabilities_and_knows_what_it_held_out(
    tiny_run: Path, labelled_files: tuple[Path, Path]
) -> None:
    """Its held-out chats are those of its own split."""
    teacher = load_teacher(tiny_run, [labelled_files[0]], CHAT_13, n_threads=1)
    chats = read_labelled_chats([labelled_files[0]], Windowing(), frozenset())
    _, held_out = split_chats(chats, read_config(tiny_run))
    assert teacher.unseen == frozenset(chats.take(held_out).chat_ids)
    answers = mean_probabilities([teacher, CountingTeacher()], chats.conversations[:5])
    np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert unseen_by_all([teacher, CountingTeacher()]) == teacher.unseen
    assert unseen_by_all([CountingTeacher()]) is None
    with pytest.raises(ValueError, match="training run"):
        load_teacher(tiny_run, [labelled_files[1]], CHAT_13, n_threads=1)


def test_a_linear_stage_answers_out_of_fold_for_chats_it_was_fitted_on(
    labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its own labels would come back as its answers otherwise."""
    train_linear([labelled_files[0]], tmp_path, LinearOptions(solver="sgd", n_folds=3), windowing=Windowing())
    teacher = load_teacher(tmp_path, [labelled_files[0]], CHAT_13, n_threads=1)
    chats = read_labelled_chats([labelled_files[0]], Windowing(), frozenset())
    expected = np.stack(list(read_out_of_fold(tmp_path).values()))
    np.testing.assert_allclose(teacher.probabilities(chats.conversations), expected, atol=1e-4)


def test_a_folder_that_is_no_teacher_is_refused(tmp_path: Path) -> None:
    """With the three kinds that there are."""
    with pytest.raises(ValueError, match="bundle"):
        load_teacher(tmp_path, [], CHAT_13, n_threads=1)


def test_a_smaller_student_is_distilled_exported_served_and_compared_with_its_teacher(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], unlabelled: Path, tmp_path: Path
) -> None:
    """The whole way by its commands: one layer instead of two, and only the tokens that occur."""
    training, dev = (str(path) for path in labelled_files)
    options = ["--teacher", str(tiny_run), "--data", training, "--dev", dev, "--unlabelled", str(unlabelled)]
    options += ["--n-layers", "1", "--min-token-count", "1", "--temperature", "2", "--hard-ratio", "0.3"]
    options += ["--set", "n_epochs=1", "--out", str(tmp_path / "student"), "--threads", "1", "--cpu"]
    result = CliRunner().invoke(app, ["distil", *options])
    assert result.exit_code == 0, result.output
    made = orjson.loads(result.output.splitlines()[-1])
    assert made["chats"]["held_out_unseen_by_teachers"] is True
    assert made["student"]["n_tokens"] < made["student"]["n_tokens_of_teacher"] / 2
    bundles = {"teacher": (tiny_run, training), "student": (tmp_path / "student" / "run", made["data"])}
    for name, (run, data) in bundles.items():
        export = ["export", "--run", str(run), "--data", data, "--out", str(tmp_path / name), "--threads", "1"]
        export += ["--encoder", str(tiny_encoder)] if name == "teacher" else []
        result = CliRunner().invoke(app, [*export, "--name", name, "--version", "0.1"])
        assert result.exit_code == 0, result.output
    student, teacher = (load_bundle(tmp_path / name) for name in ("student", "teacher"))
    assert len(student.model) < len(teacher.model) / 2
    cards = {name: (tmp_path / name / "MODEL_CARD.md").read_text(encoding="utf-8") for name in bundles}
    assert "Distilled" in cards["student"]
    assert "Distilled" not in cards["teacher"]
    named = ["--bundle", str(tmp_path / "teacher"), "--bundle", str(tmp_path / "student")]
    report = ["distil-report", *named, "--data", dev, "--passes", "1", "--threads", "1"]
    result = CliRunner().invoke(app, [*report, "--out", str(tmp_path / "report.json")])
    assert result.exit_code == 0, result.output
    rows = orjson.loads(result.output.splitlines()[-1])["bundles"]
    assert rows == orjson.loads((tmp_path / "report.json").read_bytes())
    assert [row["n_chats"] for row in rows] == [40, 40]
    assert rows[0]["cpu_ratio_to_first"] == 1.0
    assert rows[1]["n_bytes"] < rows[0]["n_bytes"]
    assert all(0 <= row[name] <= 1 for row in rows for name in ("banned_allowed", "safe_allowed"))
