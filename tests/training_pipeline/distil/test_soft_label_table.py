"""A student trained from a table of its teachers' answers is the one that they would have taught."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from schemas import CHAT_13
from tests.training_pipeline.distil.teachers import CountingTeacher
from training_pipeline.command_line import app
from training_pipeline.distil.distil import DistilRequest, distil
from training_pipeline.distil.soft_label_table import STEPS, TeacherName, in_steps, read_table, write_table
from training_pipeline.distil.soft_labels import write_soft_labels
from training_pipeline.distil.student_chats import Mixing, write_student_chats
from training_pipeline.distil.teachers import TeacherAnswers, load_teacher
from training_pipeline.train.config import TrainConfig

_TEACHERS = [TeacherName(name="one", digest="sha256:one")]


def _rows(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture
def answered(labelled_files: tuple[Path, Path], unlabelled: Path, tmp_path: Path) -> Path:
    """Return what a teacher said of 200 labelled and 40 bare chats."""
    out = tmp_path / "soft.jsonl"
    write_soft_labels([labelled_files[0], unlabelled], out, TeacherAnswers([CountingTeacher()]), taxonomy=CHAT_13)
    return out


@pytest.fixture
def table(answered: Path, tmp_path: Path) -> Path:
    """Return the same as a table, with the first 30 chats held out."""
    rows, out = _rows(answered), tmp_path / "table.csv.gz"
    unseen = frozenset(row["chat_id"] for row in rows[:30])
    write_table(rows, out, _TEACHERS, TrainConfig(), unseen=unseen, held_out_known=True)
    return out


def test_a_table_holds_no_text_and_the_same_answers_are_the_same_bytes(
    answered: Path, table: Path, tmp_path: Path
) -> None:
    """In any order of the chats: the file is kept under version control."""
    rows = _rows(answered)
    again = tmp_path / "again.csv.gz"
    unseen = frozenset(row["chat_id"] for row in rows[:30])
    write_table(rows[::-1], again, _TEACHERS, TrainConfig(), unseen=unseen, held_out_known=True)
    assert again.read_bytes() == table.read_bytes()
    head, columns, *lines = gzip.decompress(table.read_bytes()).decode().splitlines()
    assert orjson.loads(head.removeprefix("# "))["n_rows"] == len(lines) == 240
    assert columns == ",".join(["chat_id", "held_out", *CHAT_13.codes])
    assert {line.partition(",")[0] for line in lines} == {row["chat_id"] for row in rows}
    assert all(sum(map(int, line.split(",")[2:])) == STEPS for line in lines)


def test_answers_come_back_within_half_a_percent(answered: Path, table: Path) -> None:
    """And with the same most probable category."""
    found = read_table(table)
    for row in _rows(answered):
        expected = np.array(list(row["soft_label"].values()))
        steps = found.answers[row["chat_id"]]
        np.testing.assert_allclose(steps / STEPS, expected, atol=1 / STEPS)
        assert steps.argmax() == expected.argmax()


@pytest.mark.parametrize("seed", range(20))
def test_steps_sum_up_and_keep_the_order_of_the_probabilities(seed: int) -> None:
    """A category that was less probable never comes before one that was more so."""
    found = np.random.default_rng(seed).dirichlet(np.full(len(CHAT_13.codes), 0.2))
    steps = in_steps(found)
    assert steps.sum() == STEPS
    assert (np.diff(steps[np.argsort(found)].astype(int)) >= 0).all()


def test_an_id_that_stands_for_two_chats_has_no_row(answered: Path, tmp_path: Path) -> None:
    """One of the two would be taught the other's label."""
    rows = _rows(answered)
    rows[1]["chat_id"] = rows[0]["chat_id"]
    rows[0]["soft_label"], rows[1]["soft_label"] = {"I": 1.0}, {"M": 1.0}
    out = tmp_path / "table.csv.gz"
    head = write_table(rows, out, _TEACHERS, TrainConfig(), unseen=frozenset(), held_out_known=True)
    assert (head.n_ambiguous, head.n_rows) == (1, 238)
    assert rows[0]["chat_id"] not in read_table(out).answers


def test_chats_without_a_row_keep_their_annotators_label_and_bare_ones_are_rejected(
    labelled_files: tuple[Path, Path], unlabelled: Path, answered: Path, tmp_path: Path
) -> None:
    """A table of some chats teaches those, and nothing is invented for the others."""
    rows = [row for i, row in enumerate(_rows(answered)) if i >= 20 and i != 239]
    out = tmp_path / "table.csv.gz"
    write_table(rows, out, _TEACHERS, TrainConfig(), unseen=frozenset(), held_out_known=True)
    paths = [labelled_files[0], unlabelled]
    report = write_soft_labels(paths, tmp_path / "from-table.jsonl", read_table(out), taxonomy=CHAT_13)
    assert report.n_rejected_by_reason["no_soft_label"] == 1
    assert report.options["teachers"] == [read_table(out).digest]
    mixing = Mixing(temperature=3.0, hard_ratio=0.2)
    counts = write_student_chats(
        tmp_path / "from-table.jsonl", tmp_path / "student.jsonl", mixing, TrainConfig(), unseen=None
    )
    assert (counts["n_chats"], counts["n_taught"]) == (239, 219)
    original, student = _rows(labelled_files[0]), _rows(tmp_path / "student.jsonl")
    for row, before in zip(student[:20], original, strict=False):
        weights = before.get("soft_label") or {before["category"]: 1.0}
        expected = {code: weights.get(code, 0.0) / sum(weights.values()) for code in CHAT_13.codes}
        assert row["soft_label"] == pytest.approx(expected, abs=1e-5)


def test_the_chats_of_the_table_are_held_out_and_another_split_is_refused(
    labelled_files: tuple[Path, Path], table: Path, tmp_path: Path
) -> None:
    """Chats that a teacher has learned from would carry the student's guarantee otherwise."""
    request = DistilRequest(
        teachers=(),
        data=[labelled_files[0]],
        dev=None,
        out=tmp_path / "student",
        config=TrainConfig(calibration_ratio=0.3),
        soft_labels=table,
        start=tmp_path,
    )
    with pytest.raises(ValueError, match=r"--set split_seed=20261121 --set calibration_ratio=0\.1"):
        distil(request)
    found = read_table(table).check_split(TrainConfig(seed=1, split_seed=20261121))
    assert len(found.held_out) == 30


@pytest.mark.parametrize("change", ["cut", "text", "sum", "columns", "gone", "version"])
def test_a_file_that_is_no_whole_table_is_refused(table: Path, change: str) -> None:
    """With its name and what was expected."""
    text = gzip.decompress(table.read_bytes()).decode()
    changed = {
        "cut": text.rpartition("\n0")[0] if "\n0" in text else text[: text[:-1].rindex("\n") + 1],
        "text": text[:-1].rpartition(",")[0] + ",x\n",
        "sum": text[:-1].rpartition(",")[0] + ",255\n",
        "columns": text.replace("held_out,", "", 1) if "chat_id,held_out" in text else "",
        "version": text.replace('"format":1', '"format":2'),
    }
    if change == "gone":
        table.unlink()
    else:
        table.write_bytes(gzip.compress(changed[change].encode()))
    with pytest.raises(ValueError, match=r"table.csv.gz.*(expected|version)"):
        read_table(table)


def test_a_student_is_distilled_from_a_table_where_its_teachers_are_not(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], unlabelled: Path, tmp_path: Path
) -> None:
    """By its two commands; what is held out is what the teacher's run held out."""
    training, dev = (str(path) for path in labelled_files)
    table = tmp_path / "answers.csv.gz"
    asked = ["soft-labels", "--teacher", str(tiny_run), "--data", training, "--unlabelled", str(unlabelled)]
    asked += ["--out", str(table), "--work", str(tmp_path / "work"), "--threads", "1"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    head = orjson.loads(result.output.splitlines()[-1])
    teacher = load_teacher(tiny_run, [labelled_files[0]], CHAT_13, n_threads=1)
    assert read_table(table).held_out == teacher.unseen
    options = ["distil", "--soft-labels", str(table), "--start", str(tiny_encoder), "--data", training, "--dev", dev]
    options += ["--set", f"split_seed={head['split_seed']}", "--set", f"calibration_ratio={head['calibration_ratio']}"]
    options += ["--set", "n_epochs=1", "--n-layers", "1", "--out", str(tmp_path / "student"), "--threads", "1", "--cpu"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    made = orjson.loads(result.output.splitlines()[-1])
    assert made["chats"]["held_out_unseen_by_teachers"] is True
    held_out = {row["chat_id"] for row in _rows(Path(made["data"])) if row["fold"] == "held_out"}
    assert held_out == teacher.unseen
    record = orjson.loads((tmp_path / "student" / "distil.json").read_bytes())
    assert record["teachers"] == [{"name": tiny_run.name, "digest": teacher.digest}]


def test_teachers_and_a_table_of_teachers_are_not_mixed(tmp_path: Path) -> None:
    """Which of them decides what is held out would be unclear."""
    request = DistilRequest(teachers=(), data=(), dev=None, out=tmp_path, config=TrainConfig())
    with pytest.raises(ValueError, match="--teacher or --soft-labels"):
        distil(request)
