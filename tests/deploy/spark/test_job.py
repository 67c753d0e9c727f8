"""The Spark job, on this machine: the rows of the command for one machine, and the verdicts of the worker.

One session for all tests: starting it takes longer than most of them.
"""

import os
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet
from pyspark.sql import SparkSession

from deploy.local.java import bundled_java, find_java
from deploy.spark.job import MANIFEST, Job, run_job, started
from deploy.spark.partition import FILE, ROW, Task, judge_batches
from loadtest.backfill.outcomes import different_fields
from model import BundleError, load_bundle
from model.backfill.command import classify_parquet
from model.backfill.errors import BackfillRefused
from model.backfill.policies import policy_set
from schemas import Policy
from tests.deploy.spark.by_the_worker import judged_by_the_worker, of_outcome
from tests.model.backfill.archives import as_values, chat, outcomes, quick_bundle, write_events, write_values

# pandas 3 is what the other locks have; the job hands Arrow batches on and makes no data frame of pandas.
pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")

_ROOT = Path(__file__).parents[3]
# A JVM that lives for a minute: no compiler that pays off later.
_JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData"
_SETTINGS = {
    "spark.driver.memory": "512m",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
}


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """Return a session with two tasks side by side, each in a Python process of its own."""
    java = find_java(os.environ, bundled=bundled_java())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(java.executable.resolve().parents[1]))
        patch.setenv("JDK_JAVA_OPTIONS", _JAVA_OPTIONS)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("PYTHONPATH", str(_ROOT))
        session = started("local[2]", list(_SETTINGS.items()))
        yield session
        session.stop()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle that judges thousands of chats a second."""
    return quick_bundle(tmp_path_factory.mktemp("bundles") / "quick")


def _values(sample_chats: list[dict[str, Any]], n_events: int) -> list[bytes | None]:
    """Return records: chats, the same ones again and a little longer, and what no worker accepts."""
    events = []
    for i in range(n_events):
        round_number, place = divmod(i, len(sample_chats))
        event = dict(sample_chats[place])
        if round_number:
            event["messages"] = [*event["messages"], {"role": "user", "content": f"once more, {i}"}]
        event["event_id"] = i if i % 2 else f"event {i}"
        event["occurred_at"] = 1_700_000_000.5 + i
        events.append(event)
    odd: list[bytes | None] = [
        b"not json",
        None,
        b"\xff\xfe",
        b'{"chat_id":"c","chat_id":"d"}',
        orjson.dumps({"chat_id": "c", "messages": []}),
        orjson.dumps({"chat_id": 5, "query": "hi"}),
        orjson.dumps({"chat_id": "c", "query": "x" * 2_000_000}),
        b'{"chat_id":"long","event_id":393530540239137101141,"query":"%b"}' % (b"a poem " * 20_000),
        orjson.dumps({"chat_id": "parts", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
        orjson.dumps({"chat_id": "german", "query": "Schreib mir bitte einen Brief an meine Hausverwaltung."}),
    ]
    return [*as_values(events[: n_events // 2]), *odd, *as_values(events[n_events // 2 :])]


def _written(folder: Path) -> list[dict[str, Any]]:
    """Return the rows that a job wrote, in the order of its input."""
    table = parquet.read_table(folder)
    return sorted(table.to_pylist(maps_as_pydicts="strict"), key=lambda row: (row["input_file"], row["input_row"]))


@pytest.mark.parametrize(("name", "n_events"), [("quick", 3_000), ("shipped", 200)])
def test_worker_command_and_job_give_the_same_verdicts(  # noqa: PLR0917  fixtures
    spark: SparkSession,
    quick: Path,
    bundle_path: Path,
    sample_chats: list[dict[str, Any]],
    tmp_path: Path,
    name: str,
    n_events: int,
) -> None:
    """On the same records, whatever they are: every field that depends on the record alone."""
    folder = quick if name == "quick" else bundle_path
    bundle = load_bundle(folder)
    values = _values(sample_chats, n_events)
    half = len(values) // 2
    write_values(tmp_path / "in" / "day=1" / "a.parquet", values[:half])
    write_values(tmp_path / "in" / "day=2" / "b.parquet", values[half:], first_offset=half)
    other = Policy.default_for(bundle.taxonomy).model_copy(update={"name": "other", "banned": frozenset("MD")})
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "other.json").write_text(other.model_dump_json())

    source, by_spark = str(tmp_path / "in"), tmp_path / "spark"
    job = Job(source, str(by_spark), str(folder), policies=policies, floor=("A",), n_tasks=4)
    manifest = run_job(spark, job)
    account = classify_parquet(
        source,
        tmp_path / "one",
        columns=[],
        rows_per_part=700,
        bundle=folder,
        policy=None,
        policies=policies,
        floor=["A"],
        n_threads=1,
        say=lambda _: None,
    )
    rules = policy_set(bundle, [bundle.default_policy, other], floor=frozenset("A"))
    by_worker = judged_by_the_worker(values, bundle, rules)
    by_command = outcomes(tmp_path / "one")
    written = _written(by_spark)
    for rows in (by_command, written):
        pairs = zip(map(of_outcome, rows), by_worker, strict=True)
        assert [different_fields(*pair) for pair in pairs] == [[]] * len(values)
    places = [[(row["input_file"], row["input_row"], row["error"]) for row in rows] for rows in (by_command, written)]
    assert places[0] == places[1]
    assert manifest["counts"] == account.counts.model_dump(mode="json")
    assert manifest["policies"] == account.run.policies == rules.digest
    assert orjson.loads((by_spark / MANIFEST).read_bytes())["bundle"] == bundle.digest
    # Of both kinds, or the comparison would say little.
    assert {row["rejected"] for row in by_command} >= {None, "decode_error", "schema_error", "too_large"}
    assert len({row["decision"] for row in by_command}) > 2


def test_the_bundle_may_come_as_an_archive_and_events_as_columns(
    spark: SparkSession, quick: Path, tmp_path: Path
) -> None:
    """As `spark-submit --archives` ships it to executors that have nothing of ours on their disks."""
    with tarfile.open(tmp_path / "shipped.tar.gz", "w:gz") as archive:
        archive.add(quick, arcname=".")
    spark.sparkContext.addArchive(f"{tmp_path / 'shipped.tar.gz'}#shipped")
    write_events(
        tmp_path / "in.parquet", [chat(i, "a poem", occurred_at=datetime(2026, 1, 1, tzinfo=UTC)) for i in range(40)]
    )
    run_job(spark, Job(str(tmp_path / "in.parquet"), str(tmp_path / "out"), "shipped"))
    rows = _written(tmp_path / "out")
    assert [row["chat_id"] for row in rows] == [f"c-{i}" for i in range(40)]
    assert {row["category"]["code"] for row in rows} == {"D"}
    assert {(row["occurred_at"], row["source"]) for row in rows} == {("2026-01-01T00:00:00.000000Z", None)}


def test_a_table_without_chats_is_refused_before_anything_is_judged(
    spark: SparkSession, quick: Path, tmp_path: Path
) -> None:
    """And not by a stack trace of each executor."""
    write_events(tmp_path / "in.parquet", [{"id": 1}])
    with pytest.raises(BackfillRefused, match="no column 'messages'"):
        run_job(spark, Job(str(tmp_path / "in.parquet"), str(tmp_path / "out"), str(quick)))
    assert not (tmp_path / "out").exists()


def test_only_the_parquet_files_of_a_folder_are_read_and_an_output_that_is_there_is_refused(
    spark: SparkSession, quick: Path, tmp_path: Path
) -> None:
    """As by the command for one machine: a note beside the files is no row. A second run would mix with the first."""
    write_values(tmp_path / "in" / "a.PARQUET", as_values([chat(i) for i in range(20)]))
    (tmp_path / "in" / "note.txt").write_text("from the export of May")
    job = Job(str(tmp_path / "in"), str(tmp_path / "out"), str(quick))
    assert run_job(spark, job)["counts"]["n_rows"] == 20
    with pytest.raises(BackfillRefused, match="expected an address at which nothing is yet; remove what an earlier"):
        run_job(spark, job)
    with pytest.raises(BackfillRefused, match=r"missing: cannot be read .* check the address"):
        run_job(spark, Job(str(tmp_path / "missing"), str(tmp_path / "other"), str(quick)))


def test_an_executor_with_another_bundle_judges_nothing(quick: Path) -> None:
    """A folder that was changed on one machine only would give two answers in one output."""
    task = Task(
        bundle=str(quick),
        bundle_digest=f"sha256:{'0' * 64}",
        policies=(load_bundle(quick).default_policy.model_dump_json(),),
        floor=(),
        columns=(("chat_id", "chat_id"), ("query", "query")),
        decided_at=datetime.now(UTC),
        n_threads=1,
        source="/in",
    )
    batch = pa.record_batch({"chat_id": ["c"], "query": ["hi"], FILE: ["/in/a"], ROW: [0]})
    with pytest.raises(BundleError, match="expected the same everywhere"):
        next(judge_batches(task, iter([batch])))
