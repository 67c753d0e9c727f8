"""`classify --parquet` as a person starts it."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.command_line import run_main
from tests.model.backfill.archives import as_values, chat, outcomes, quick_bundle, write_values

_ROOT = Path(__file__).parents[3]
_WITHOUT_ARROW = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError("No module named 'pyarrow'", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["python -m model", *sys.argv[1:]]
from model.__main__ import main
main()
"""
_PEAK = """
import re, sys
from model.__main__ import main
sys.argv = ["python -m model", *sys.argv[1:]]
try:
    main()
finally:
    # Of this program alone; `ru_maxrss` begins with what its parent had.
    print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle that judges thousands of chats a second."""
    return quick_bundle(tmp_path_factory.mktemp("bundles") / "quick")


def _process(code: str, *arguments: str | Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-c", code, "classify", *arguments], cwd=_ROOT, capture_output=True, timeout=280, check=False
    )


def test_the_account_is_one_json_line(quick: Path, tmp_path: Path) -> None:
    """For the script that started it; progress is on standard error."""
    write_values(tmp_path / "in.parquet", [*as_values([chat(1), chat(2)]), b"?"])
    ended = run_main(
        "model", "classify", "--parquet", tmp_path / "in.parquet", "--out", tmp_path / "out", "--bundle", quick
    )
    assert ended.returncode == 0, ended.stderr
    account = orjson.loads(ended.stdout)
    assert (account["n_rows"], account["n_verdicts"], account["rejected"]) == (3, 2, {"decode_error": 1})
    assert sum(account["decisions"]["default"].values()) == 2
    assert Path(account["manifest"]).is_file()
    assert len(outcomes(tmp_path / "out")) == 3


def test_an_archive_of_something_else_ends_with_3(quick: Path, tmp_path: Path) -> None:
    """As with JSON lines: all rejected is no success, and the reasons are written all the same."""
    write_values(tmp_path / "in.parquet", [b"?", b"!"])
    ended = run_main(
        "model", "classify", "--parquet", tmp_path / "in.parquet", "--out", tmp_path / "out", "--bundle", quick
    )
    assert ended.returncode == 3
    assert b"all 2 rows were rejected, 2 of them as decode_error" in ended.stderr
    assert [row["rejected"] for row in outcomes(tmp_path / "out")] == ["decode_error"] * 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--parquet", "in"], b"expected both or neither"),
        (["--out", "out", "hello"], b"expected both or neither"),
        (["--parquet", "in", "--out", "out", "hello"], b"expected exactly one of them"),
        (["--policies", "folder", "hello"], b"expected them with it alone"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments: list[str], said: bytes) -> None:
    """An option that is not heeded would look as if it were."""
    ended = run_main("model", "classify", *arguments)
    assert ended.returncode == 2
    assert said in b" ".join(ended.stderr.replace(b"|", b" ").split())


def test_a_wrong_input_or_mapping_ends_with_3(quick: Path, tmp_path: Path) -> None:
    """With the remedy, and without a traceback."""
    given = ["--parquet", tmp_path / "missing", "--out", tmp_path / "out", "--bundle", quick]
    ended = run_main("model", "classify", *given)
    assert (ended.returncode, ended.stdout) == (3, b"")
    assert b"missing: cannot be read (no such file or folder)" in ended.stderr
    ended = run_main("model", "classify", *given, "--column", "chatid=x")
    assert ended.returncode == 3
    assert b"no field 'chatid'; expected one of chat_id" in ended.stderr


def test_without_the_parquet_extra_our_own_target_is_named(tmp_path: Path) -> None:
    """And no package that anybody could have registered; texts need nothing of it."""
    done = _process(_WITHOUT_ARROW, "--parquet", "in", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "error: pyarrow is not installed; expected the parquet extra; run `make setup`, or install "
        "requirements-parquet.lock where there is no make\n"
    )
    assert _process(_WITHOUT_ARROW, "a poem", "--json").returncode == 0


def test_memory_does_not_grow_with_a_row_group(quick: Path, tmp_path: Path) -> None:
    """One row group of 120 MB, unpacked, takes little more than one of 18 MB, which is two batches."""
    filler = "".join(chr(97 + i * 7 % 26) for i in range(12_000))
    peaks = []
    for n_rows in (1_500, 10_000):
        events = [chat(i, query=f"{i} {filler}") for i in range(n_rows)]
        write_values(tmp_path / f"{n_rows}.parquet", as_values(events), group_rows=n_rows)
        out = tmp_path / f"out-{n_rows}"
        done = _process(_PEAK, "--parquet", tmp_path / f"{n_rows}.parquet", "--out", out, "--bundle", quick)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stderr.split()[-1]) / 1_000)
    assert peaks[1] - peaks[0] < 50, f"{peaks} MB"
