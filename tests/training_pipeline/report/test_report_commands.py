"""`evaluate` and `compare` as a person calls them, and the pages they write."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from model import DEFAULT_BUNDLE_PATH
from schemas import CHAT_13
from tests.training_pipeline.data.completion_server import CompletionServer, completion, label
from tests.training_pipeline.report.test_hub_model import save_classifier
from training_pipeline.augment.evasion import KINDS
from training_pipeline.command_line import app
from training_pipeline.report.document import Evaluation, ModelComparison
from training_pipeline.report.html import comparison_page, evaluation_page

BUNDLE = str(DEFAULT_BUNDLE_PATH)
_NAMESPACES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")


def run(*arguments: str | Path) -> tuple[Any, str]:
    """Run a command; return the JSON of its last line and all it printed."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout.splitlines()[-1]), result.output


def assert_self_contained(page: str) -> None:
    """Nothing may be fetched: no address but the names of XML namespaces, no script, no link."""
    for namespace in _NAMESPACES:
        page = page.replace(namespace, "")
    assert "://" not in page
    assert not re.search(r"<(script|link|iframe|img|object)\b|url\((?!#)|@import", page)


@pytest.fixture(scope="module")
def evaluated(few_chats: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any], str]:
    """Evaluate the shipped bundle once; return the last line, the JSON file and the page."""
    folder = tmp_path_factory.mktemp("evaluated")
    files = ("--out", folder / "report.json", "--html", folder / "report.html")
    last, _ = run("evaluate", "--data", few_chats, *files, "--bootstrap", "50", "--timed-chats", "3", "--threads", "1")
    return last, orjson.loads((folder / "report.json").read_bytes()), (folder / "report.html").read_text("utf-8")


def test_evaluate_writes_every_part_and_prints_the_short_of_it(evaluated: tuple[Any, dict[str, Any], str]) -> None:
    """One command, one file, one page, one line for machines."""
    last, document, _ = evaluated
    assert last["agreed"] == document["agreed"]
    assert document["setting"]["n_chats"] == 24
    assert document["setting"]["n_agreed"] == document["agreed"]["n_chats"] == 22
    assert [attack["kind"] for attack in document["attacks"]] == ["none", *KINDS]
    assert len(document["operating_points"]) == 2
    assert document["speed"]["n_timed"] == 3
    assert document["slices"].keys() == {"language", "characters", "messages"}
    for name, figure in document["intervals"].items():
        assert figure["low"] <= figure["high"], name
    assert "roc" not in last


def test_the_page_stands_alone_and_shows_the_plots(evaluated: tuple[Any, dict[str, Any], str]) -> None:
    """It is sent by mail and opened where nothing can be fetched."""
    _, document, page = evaluated
    assert_self_contained(page)
    assert page.count("<svg") == 8
    assert f"{100 * document['agreed']['accuracy']:.1f} %" in page


def test_a_model_without_probabilities_decisions_or_times_still_gets_its_page(
    evaluated: tuple[Any, dict[str, Any], str],
) -> None:
    """An LLM says a category and no more; and its name is text, whatever it holds."""
    document = {**evaluated[1]}
    setting = document.pop("setting")
    del document["format_version"]
    bare = document | {"operating_points": [], "roc": None, "precision_recall": None, "attacks": [], "speed": None}
    bare |= {"reliability": [], "banned_reliability": [], "usage": None, "n_without_answer": 3}
    bare["identity"] = {"name": "<b>$x_1$ & co</b>", "kind": "llm", "detail": "<script>"}
    bare["agreed"] = {
        name: value for name, value in document["agreed"].items() if "decisions" not in name and "at_safe" not in name
    }
    del bare["agreed"]["expected_calibration_error"]
    whole = {"setting": setting, "models": [document, bare], "differences": []}
    for page in (
        evaluation_page(Evaluation.model_validate({"setting": setting, "model": bare})),
        comparison_page(ModelComparison.model_validate(whole)),
    ):
        assert_self_contained(page)
        assert "<b>$x" not in page
        assert "&lt;b&gt;$x_1$ &amp; co" in page
        assert "without an answer" in page or "have no" in page


def test_equal_documents_give_equal_pages(evaluated: tuple[Any, dict[str, Any], str]) -> None:
    """A page under version control must only differ where its figures do."""
    document = {**evaluated[1]}
    setting = document.pop("setting")
    del document["format_version"]
    loaded = Evaluation.model_validate({"setting": setting, "model": document})
    assert evaluation_page(loaded) == evaluation_page(loaded) == evaluated[2]


def test_bundle_hub_model_and_llm_stand_side_by_side_in_one_command(
    few_chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison table of the reference is one command."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    hub = save_classifier(tmp_path / "tiny-hub")
    with CompletionServer(lambda prompt, _: completion("no") if len(prompt) % 4 == 0 else label("E")) as server:
        llm = tmp_path / "llm.toml"
        llm.write_text(f'[[annotator]]\nname = "tiny-llm"\nbase_url = "{server.base_url}"\nmodel = "m"\n', "utf-8")
        models = ("--bundle", DEFAULT_BUNDLE_PATH, "--hub-model", hub, "--llm", llm, "--answers", tmp_path / "a")
        files = ("--out", tmp_path / "c.json", "--html", tmp_path / "c.html", "--price", "tiny-llm=0.5", "--published")
        few = ("--bootstrap", "50", "--timed-chats", "2", "--threads", "1", "--no-attacks", "--hub-max-tokens", "64")
        last, printed = run("compare", "--data", few_chats, *models, *files, *few)
    bundle, tiny, said = last["models"]
    assert [m["identity"]["kind"] for m in last["models"]] == ["bundle", "hub", "llm"]
    assert said["n_without_answer"] > 0
    assert said["usage"]["cost_usd"] == pytest.approx(1020 * 24 * 0.5 / 1e6, rel=0.05)
    assert bundle["usage"]["cost_usd"] is tiny["usage"]["cost_usd"] is None
    assert {row["baseline"] for row in last["differences"]} == {bundle["identity"]["name"]}
    assert {row["model"] for row in last["differences"]} == {"tiny-hub", "tiny-llm"}
    document = ModelComparison.model_validate_json((tmp_path / "c.json").read_bytes())
    assert document.published is not None
    page = (tmp_path / "c.html").read_text("utf-8")
    assert_self_contained(page)
    for text in ("67 of 564 (11.9 %)", "48 of 1660 (2.9 %)"):
        assert text in page
        assert text in printed
    assert "Not measured here" in page
    assert "not measured here" in printed
    for name in ("precision", "macro avg", "banned"):
        assert name in printed
    assert "ROC by category" in page
    measured, _, others = page.partition("Published by others")
    assert "DistilBERT, fine-tuned" not in measured
    assert "DistilBERT, fine-tuned" in others


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("compare", "--price", "nobody=1"), "no model is called nobody"),
        (("compare", "--price", "free"), "--price: found 'free'"),
        (("compare", "--price", "x=-1"), "--price: found 'x=-1'"),
        (
            ("compare", "--bundle", "model/bundles/default", "--bundle", "model/bundles/default"),
            "two models are called",
        ),
        (("compare", "--llm", __file__), "--llm without --answers"),
        (("evaluate", "--bundle", "x", "--hub-model", "y"), "expected one of them"),
        (("compare", "--hub-model", "y", "--probes", "data/probes"), "--probes without --bundle"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(arguments: tuple[str, ...], complaint: str, few_chats: Path) -> None:
    """An hour of measuring should not end in a typo."""
    result = CliRunner().invoke(app, [*arguments, "--data", str(few_chats)])
    assert result.exit_code != 0
    assert complaint in str(result.exception)


def test_chats_without_a_banned_one_are_refused(tmp_path: Path) -> None:
    """There is no safety pair to measure, and 0 of 0 would read as perfect."""
    path = tmp_path / "safe.jsonl"
    rows = [
        {"chat_id": code, "category": code, "messages": [{"role": "user", "content": "hello"}]}
        for code in CHAT_13.codes[:2]
    ]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    result = CliRunner().invoke(app, ["evaluate", "--data", str(path)])
    assert "0 banned of 2" in str(result.exception)
