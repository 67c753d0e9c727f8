"""A run over an archive: every row once, whatever stops it, and nothing mixed with another run."""

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyarrow import parquet

from model import BundleError, Classifier, PolicyError, load_bundle
from model.backfill import run as run_module
from model.backfill.archive_judge import ArchivedRecord, ArchiveJudge, Outcome
from model.backfill.command import classify_parquet
from model.backfill.errors import BackfillRefused
from model.backfill.output_folder import MANIFEST, Manifest
from model.backfill.policies import policies_of, policy_set
from model.backfill.run import Request, run
from model.bundle.files import sha256_of
from schemas import Policy
from tests.bundles import bundle_variant
from tests.model.backfill.archives import as_values, chat, outcomes, quick_bundle, write_events, write_values


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle that judges thousands of chats a second."""
    return quick_bundle(tmp_path_factory.mktemp("bundles") / "quick")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a folder of two files, 250 and 130 rows, the second one in a folder of its own."""
    write_values(tmp_path / "in" / "a.parquet", as_values([chat(i) for i in range(250)]))
    write_values(tmp_path / "in" / "b" / "b.parquet", as_values([chat(i) for i in range(250, 380)]), first_offset=250)
    return tmp_path / "in"


def classify(source: Path, out: Path, bundle: Path, **options: Any) -> Manifest:
    """Judge an archive as the command does, in parts of 60 rows."""
    given: dict[str, Any] = {"columns": [], "rows_per_part": 60, "policy": None, "policies": None, "floor": []}
    given |= {"n_threads": 1, "say": lambda _: None} | options
    return classify_parquet(str(source), out, bundle=bundle, **given)


class _Stopping(ArchiveJudge):
    """A judge in whose hands the process ends, after so many rows."""

    n_left = 0

    def outcomes(self, records: Sequence[ArchivedRecord]) -> Iterator[list[Outcome]]:
        """Judge, or end."""
        _Stopping.n_left -= len(records)
        if _Stopping.n_left < 0:
            raise Killed
        yield from super().outcomes(records)


def stopped_after(n_rows: int, source: Path, out: Path, folder: Path) -> None:
    """Run until so many rows were judged, and end there without another word."""
    bundle = load_bundle(folder)
    rules = policy_set(bundle, policies_of(bundle, None, None))

    def judge(at: datetime) -> ArchiveJudge:
        return _Stopping(Classifier(bundle, bundle.default_policy, n_threads=1), rules, at)

    _Stopping.n_left = n_rows
    with pytest.raises(Killed):
        run(Request(str(source), out, {}, 60), bundle, rules, judge, lambda _: None)


def test_every_row_has_its_outcome_with_its_place_and_its_source(archive: Path, quick: Path, tmp_path: Path) -> None:
    """In the order of the input; the manifest has the digest of every part and counts that agree with them."""
    manifest = classify(archive, tmp_path / "out", quick)
    rows = outcomes(tmp_path / "out")
    assert [row["chat_id"] for row in rows] == [f"c-{i}" for i in range(380)]
    places = [("a.parquet", i) for i in range(250)] + [("b/b.parquet", i) for i in range(130)]
    assert [(row["input_file"], row["input_row"]) for row in rows] == places
    assert [row["source"]["offset"] for row in rows] == list(range(380))
    assert rows[0]["source"] == {
        "topic": "chat-events",
        "partition": 3,
        "offset": 0,
        "timestamp_ms": 1_750_000_000_000,
    }
    assert [part.counts.n_rows for part in manifest.parts] == [60, 60, 60, 60, 10, 60, 60, 10]
    for part in manifest.parts:
        assert sha256_of((tmp_path / "out" / part.name).read_bytes()) == part.digest
    assert Manifest.model_validate_json((tmp_path / "out" / MANIFEST).read_bytes()) == manifest
    # What is not an outcome has a name that readers of Parquet folders pass over.
    assert parquet.read_table(tmp_path / "out").num_rows == 380


@pytest.mark.parametrize("n_rows", [0, 70, 250, 300])
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(
    archive: Path, quick: Path, tmp_path: Path, n_rows: int
) -> None:
    """Same rows, none twice, none missing; what it had finished is not judged again."""
    stopped_after(n_rows, archive, tmp_path / "out", quick)
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("part-*")}
    assert not (tmp_path / "out" / MANIFEST).exists()
    # All of what can be read is whole.
    assert sum(parquet.read_metadata(tmp_path / "out" / name).num_rows for name in done) <= n_rows
    said: list[str] = []
    classify(archive, tmp_path / "out", quick, say=said.append)
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done} == done
    assert bool(said) == bool(done)
    whole = classify(archive, tmp_path / "whole", quick)
    when = {"decided_at": None}
    assert [row | when for row in outcomes(tmp_path / "out")] == [row | when for row in outcomes(tmp_path / "whole")]
    assert len({row["decided_at"] for row in outcomes(tmp_path / "out")}) == 1
    finished = Manifest.model_validate_json((tmp_path / "out" / MANIFEST).read_bytes())
    assert finished.counts == whole.counts
    assert not list((tmp_path / "out").glob("*.new"))


def test_a_part_is_there_whole_or_not_at_all(archive: Path, quick: Path, tmp_path: Path) -> None:
    """The process ends between writing a part and its line: it is judged again, and a half line harms no later one."""
    stopped_after(130, archive, tmp_path / "out", quick)
    lines = tmp_path / "out" / "_parts.jsonl"
    lines.write_bytes(lines.read_bytes()[:-20])
    (tmp_path / "out" / "_part-00000-000000000120.parquet.new").write_bytes(b"PAR1 half")
    classify(archive, tmp_path / "out", quick)
    assert [orjson.loads(line)["counts"]["n_rows"] for line in lines.read_bytes().splitlines()] == [
        *[60] * 4, 10, 60, 60, 10
    ]  # fmt: skip
    assert len(outcomes(tmp_path / "out")) == 380


@pytest.mark.parametrize("fails", ["write_table", "close"])
def test_a_full_disk_ends_the_run_with_a_remedy_and_the_same_command_goes_on(
    archive: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """It fills up while the third part is written: two stay, nothing is left of the third."""
    write, n_calls = getattr(parquet.ParquetWriter, fails), 0

    def full(*given: Any, **options: Any) -> None:
        nonlocal n_calls
        n_calls += 1
        write(*given, **options)
        if n_calls > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(parquet.ParquetWriter, fails, full)
        with pytest.raises(BackfillRefused, match=r"No space left .* run the same command again"):
            classify(archive, tmp_path / "out", quick)
    assert len(list((tmp_path / "out").glob("part-*"))) == 2
    assert not list((tmp_path / "out").glob("*.new"))
    assert classify(archive, tmp_path / "out", quick).counts.n_rows == 380


def test_a_run_that_is_complete_judges_nothing_again(
    archive: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command says the same account; no model is even loaded into a session."""
    first = classify(archive, tmp_path / "out", quick)
    monkeypatch.setattr(run_module, "RowReader", None)
    again = classify(archive, tmp_path / "out", quick)
    assert (again.counts, again.parts, again.run) == (first.counts, first.parts, first.run)


def _another_bundle(_archive: Path, bundle: Path, folder: Path) -> dict[str, Any]:
    return {"bundle": bundle_variant(bundle, folder / "variant", version="2")}


def _another_policy(_archive: Path, bundle: Path, folder: Path) -> dict[str, Any]:
    policy = load_bundle(bundle).default_policy.model_copy(update={"version": "3"})
    (folder / "policy.json").write_text(policy.model_dump_json())
    return {"policy": folder / "policy.json"}


def _another_file(archive: Path, *_: Path) -> dict[str, Any]:
    write_values(archive / "c.parquet", as_values([chat(1)]))
    return {}


def _a_file_less(archive: Path, *_: Path) -> dict[str, Any]:
    (archive / "a.parquet").unlink()
    return {}


def _other_rows(archive: Path, *_: Path) -> dict[str, Any]:
    write_values(archive / "a.parquet", as_values([chat(i, "a code") for i in range(250)]), first_offset=7)
    return {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_another_bundle, "the bundle is sha256:.*was begun with sha256:"),
        (_another_policy, "the digest of the policies is"),
        (lambda *_: {"floor": ["A"]}, "the digest of the policies is"),
        (_another_file, "has 1 files that it had not, c.parquet first"),
        (_a_file_less, "lacks 1 files that it had, a.parquet first"),
        (_other_rows, "1 files of the input are not what they were, a.parquet first"),
        (lambda *_: {"columns": ["value=value"]}, "--column is value=value, the folder was begun with not given"),
        (lambda *_: {"rows_per_part": 61}, "--rows-per-part is 61"),
    ],
)
def test_a_run_goes_on_with_the_same_input_bundle_and_policies_only(
    archive: Path,
    quick: Path,
    tmp_path: Path,
    change: Callable[[Path, Path, Path], dict[str, Any]],
    said: str,
) -> None:
    """One output would hold two answers."""
    stopped_after(130, archive, tmp_path / "out", quick)
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    options = {"bundle": quick} | change(archive, quick, tmp_path)
    with pytest.raises(BackfillRefused, match=f"was begun by another run: .*{said}.*name another folder"):
        classify(archive, tmp_path / "out", **options)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


def test_a_folder_of_something_else_is_left_alone(archive: Path, quick: Path, tmp_path: Path) -> None:
    """Somebody's data, by a slip of the hand."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").touch()
    with pytest.raises(BackfillRefused, match=r"holds thesis\.txt"):
        classify(archive, tmp_path / "out", quick)
    (tmp_path / "file").touch()
    with pytest.raises(BackfillRefused, match="cannot be made a folder"):
        classify(archive, tmp_path / "file", quick)


def test_a_plan_of_another_release_is_not_guessed_at(archive: Path, quick: Path, tmp_path: Path) -> None:
    """Its rows may have been cut otherwise."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_run.json").write_text('{"format_version": 9}')
    with pytest.raises(BackfillRefused, match="is no plan of format 1"):
        classify(archive, tmp_path / "out", quick)


def test_two_processes_do_not_write_one_folder(archive: Path, quick: Path, tmp_path: Path) -> None:
    """Each would judge all of it, and rename over the other's parts."""
    (tmp_path / "out").mkdir()
    held = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        with pytest.raises(BackfillRefused, match="another process writes it"):
            classify(archive, tmp_path / "out", quick)
    finally:
        os.close(held)
    classify(archive, tmp_path / "out", quick)


def test_rejected_rows_are_written_with_their_reason(quick: Path, tmp_path: Path) -> None:
    """Row in, row out: nobody has to find out which are missing."""
    values = [*as_values([chat(1)]), b"not json", None, b'{"chat_id":"c","messages":[]}']
    write_values(tmp_path / "in.parquet", values)
    manifest = classify(tmp_path / "in.parquet", tmp_path / "out", quick)
    rows = outcomes(tmp_path / "out")
    assert [row["rejected"] for row in rows] == [None, "decode_error", "decode_error", "empty_conversation"]
    assert [(row["input_file"], row["input_row"]) for row in rows] == [("in.parquet", i) for i in range(4)]
    assert [row["chat_id"] for row in rows] == ["c-1", None, None, "c"]
    assert all("expected" in row["error"] for row in rows[1:])
    assert all(row["source"]["offset"] == i for i, row in enumerate(rows))
    assert (manifest.counts.n_verdicts, manifest.counts.rejected) == (1, {"decode_error": 2, "empty_conversation": 1})


def test_every_policy_of_the_folder_decides(quick: Path, tmp_path: Path) -> None:
    """And the floor before all of them."""
    write_events(tmp_path / "in.parquet", [chat(1, "poem poem poem"), chat(2, "code code code")])
    (tmp_path / "policies").mkdir()
    default = load_bundle(quick).default_policy
    for name, banned in (("no-poems", "D"), ("no-code", "C")):
        policy = default.model_copy(update={"name": name, "banned": frozenset(banned)})
        (tmp_path / "policies" / f"{name}.json").write_text(policy.model_dump_json())
    classify(tmp_path / "in.parquet", tmp_path / "out", quick, policies=tmp_path / "policies", floor=["C"])
    poem, code = [
        {name: (one["decision"], one["decided_by"]) for name, one in row["decisions"].items()}
        for row in outcomes(tmp_path / "out")
    ]
    assert poem["no-poems"] == ("block", "model")
    assert poem["no-code"] == ("allow", "model")
    assert set(code.values()) == {("block", "floor")}
    assert set(code) == {"default", "no-poems", "no-code"}


def test_a_bad_policy_refuses_the_run(archive: Path, quick: Path, tmp_path: Path) -> None:
    """A worker goes on without it; here nobody would judge again after days."""
    policies = tmp_path / "policies"
    policies.mkdir()
    with pytest.raises(PolicyError, match="found no policy file"):
        classify(archive, tmp_path / "out", quick, policies=policies)
    (policies / "a.json").write_text(Policy.default_for(load_bundle(quick).taxonomy).model_dump_json())
    with pytest.raises(PolicyError, match="two policies are called 'default'"):
        classify(archive, tmp_path / "out", quick, policies=policies)
    floor = Policy.default_for(load_bundle(quick).taxonomy).model_copy(update={"name": "floor"})
    (policies / "a.json").write_text(floor.model_dump_json())
    with pytest.raises(PolicyError, match="'floor', which means something else"):
        classify(archive, tmp_path / "out", quick, policies=policies)
    (policies / "a.json").write_text("{}")
    with pytest.raises(PolicyError, match="not a usable policy"):
        classify(archive, tmp_path / "out", quick, policies=policies)
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_ends_the_run_and_a_truncated_one_is_refused_at_once(
    archive: Path, quick: Path, tmp_path: Path
) -> None:
    """By its name and what to do; what was judged before stays."""
    path = archive / "b" / "b.parquet"
    content = bytearray(path.read_bytes())
    content[4:2_000] = b"\xff" * 1_996
    path.write_bytes(content)
    with pytest.raises(BackfillRefused, match=r"b/b.parquet: cannot be read after row"):
        classify(archive, tmp_path / "out", quick)
    assert len(outcomes(tmp_path / "out")) == 250
    path.write_bytes(content[:3_000])
    with pytest.raises(BackfillRefused, match=r"b.parquet: no Parquet file, or not all of it"):
        classify(archive, tmp_path / "other", quick)


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_an_input_without_a_file_is_refused(quick: Path, tmp_path: Path, name: str) -> None:
    """An empty output would look like a success."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "_metadata.parquet").touch()
    with pytest.raises(BackfillRefused, match=r"no such file or folder|found no Parquet file"):
        classify(tmp_path / name, tmp_path / "out", quick)


def test_an_address_is_opened_by_the_file_systems_of_arrow(archive: Path, quick: Path, tmp_path: Path) -> None:
    """As `s3://bucket/folder` is, where there is a bucket."""
    source = archive.as_uri()
    manifest = classify_parquet(
        source, tmp_path / "out", columns=[], rows_per_part=1_000, bundle=quick, policy=None, policies=None, floor=[],
        n_threads=1, say=lambda _: None,
    )  # fmt: skip
    assert (manifest.counts.n_rows, len(manifest.parts)) == (380, 2)


def test_a_model_that_never_ends_stops_the_run_after_its_rows_are_written(
    archive: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start goes on after them, and does not meet them again."""
    monkeypatch.setattr(ArchiveJudge, "is_worn_out", property(lambda _: True))
    with pytest.raises(BundleError, match="the same command goes on after them"):
        classify(archive, tmp_path / "out", quick)
    assert len(outcomes(tmp_path / "out")) == 60
