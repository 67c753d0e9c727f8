"""`probes` and `evaluate --probes`: figures, JSON and pages."""

import json
from pathlib import Path

from typer.testing import CliRunner

from schemas import CHAT_13, DEFAULT_POLICY
from tests.tiny_bundle import tiny_bundle
from training_pipeline.command_line import app


def test_the_command_writes_tables_json_and_a_page_without_scripts(small_folder: Path, tmp_path: Path) -> None:
    """The figures go into a gate, the page to people."""
    arguments = ["probes", "--probes", str(small_folder), "--threads", "1"]
    result = CliRunner().invoke(
        app, [*arguments, "--out", str(tmp_path / "p.json"), "--html", str(tmp_path / "p.html")]
    )
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "p.json").read_bytes())
    assert json.loads(result.stdout.splitlines()[-1])["n_cases"] == document["n_cases"]
    families = {table["family"] for table in document["tables"]}
    assert families == {"look_alike", "banned", "language", "multi_turn", "hand", "position", "mixture", "evasion"}
    assert {gap["where"] for gap in document["gaps"]} == {"template", "inserted"}
    page = (tmp_path / "p.html").read_text("utf-8")
    assert "<script" not in page
    assert "A request inside a long message" in page


def test_evaluate_shows_the_probes_beside_the_chats(small_folder: Path, tmp_path: Path) -> None:
    """One report of one bundle; a hub model decides nothing, so there is nothing to count."""
    files = ["--data", str(tmp_path / "sample" / "chats.jsonl"), "--probes", str(small_folder)]
    few = ["--bootstrap", "20", "--timed-chats", "0", "--no-attacks", "--threads", "1"]
    result = CliRunner().invoke(app, ["evaluate", *files, *few, "--html", str(tmp_path / "e.html")])
    assert result.exit_code == 0, result.output
    assert {gap["where"] for gap in json.loads(result.stdout.splitlines()[-1])["probes"]["gaps"]} == {
        "template",
        "inserted",
    }
    assert "A request inside a long message" in (tmp_path / "e.html").read_text("utf-8")
    refused = CliRunner().invoke(app, ["evaluate", *files, "--hub-model", "someone/model"])
    assert "expected a bundle" in str(refused.exception)


def test_compare_shows_the_probes_of_its_bundles(small_folder: Path, tmp_path: Path) -> None:
    """In the table, in the last line and on the page, with their counts."""
    files = ["--data", str(tmp_path / "sample" / "chats.jsonl"), "--probes", str(small_folder)]
    few = ["--bootstrap", "20", "--timed-chats", "0", "--no-attacks", "--threads", "1"]
    result = CliRunner().invoke(app, ["compare", *files, *few, "--html", str(tmp_path / "c.html")])
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout.splitlines()[-1])["probes"]
    assert {gap["where"] for gap in found["gaps"]} == {"template", "inserted"}
    assert "look-alikes: blocked" in result.stdout
    assert found["figures"][-1]["title"] == "look-alikes: blocked"
    assert "Probes at a glance" in (tmp_path / "c.html").read_text("utf-8")


def test_without_a_policy_file_the_bundles_own_policy_decides(small_folder: Path, tmp_path: Path) -> None:
    """Figures under another policy than the one that is served would be figures of nothing."""
    own = DEFAULT_POLICY.model_copy(update={"name": "family-brand"})
    bundle = tiny_bundle(tmp_path / "bundle", CHAT_13, policy=own)
    arguments = ["probes", "--probes", str(small_folder), "--bundle", str(bundle), "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "p.json")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "p.json").read_bytes())["policy"]["name"] == "family-brand"
