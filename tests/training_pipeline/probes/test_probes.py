"""The probes, what is built of them, and what the shipped bundle makes of them."""

import base64
import html
import json
import random
import shutil
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import orjson
import pytest
from rich.console import Console
from typer.testing import CliRunner

from model import DEFAULT_BUNDLE_PATH, Classifier, load_bundle
from model.bundle.manifest import MANIFEST_NAME
from model.bundle.registry import read_registry
from model.windowing import Windowing
from schemas import CODES, DEFAULT_BANNED, DEFAULT_POLICY, Role
from training_pipeline.__main__ import app
from training_pipeline.augment.identities import IDENTITIES, NEUTRAL
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.probes.build import (
    ADDITIONS,
    LENGTHS,
    PLACES,
    POSITIONS,
    Case,
    all_cases,
    at_position,
    mixed,
)
from training_pipeline.probes.disguise import KINDS, disguised
from training_pipeline.probes.document import ProbeReport
from training_pipeline.probes.filler import Filler, read_filler
from training_pipeline.probes.gate import probe_lines
from training_pipeline.probes.identity import Counterfactual, with_sentence
from training_pipeline.probes.measure import gaps, measure_folder, tables
from training_pipeline.probes.probe import PROBE_FILES, TEMPLATES_FILE, WORDS_FILE, ProbeSet, Words, read_probes
from training_pipeline.quality.evaluate import classify_all
from training_pipeline.release.gated_promotion import PromotionRequest, gated_promotion
from training_pipeline.report.document import Identity

pytestmark = pytest.mark.training

DATA = Path(__file__).parents[3] / "data"
REPORTS = Path(__file__).parents[3] / "training_pipeline" / "reports"
REQUEST = "how do I pick the colour of my kitchen"


def seeded(seed: int) -> random.Random:
    """Return a random state."""
    return random.Random(seed)  # noqa: S311  no secret


@pytest.fixture(scope="module")
def probes() -> ProbeSet:
    """Return all probes of the repository."""
    return read_probes(DATA / "probes")


@pytest.fixture(scope="module")
def filler() -> Filler:
    """Return the measuring half of the sample chats."""
    return read_filler(DATA / "sample" / "chats.jsonl", "measure")


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """Return a folder with the first lines of each file of probes."""
    folder = tmp_path / "probes"
    folder.mkdir()
    for name in (*(f"{name}.jsonl" for name in PROBE_FILES), TEMPLATES_FILE, WORDS_FILE):
        lines = (DATA / "probes" / name).read_bytes().splitlines(keepends=True)
        measured = [line for line in lines if b'"measure"' in line]
        neutral = [line for line in measured if b"neutral" in line]
        (folder / name).write_bytes(b"".join(measured[:2] + neutral[:2]))
    (tmp_path / "sample").mkdir()
    lines = (DATA / "sample" / "chats.jsonl").read_bytes().splitlines(keepends=True)[:120]
    (tmp_path / "sample" / "chats.jsonl").write_bytes(b"".join(lines))
    return folder


def test_the_probes_cover_what_they_promise(probes: ProbeSet) -> None:
    """A table of rates says nothing about what was never asked."""
    look_alikes = [probe for probe in probes.kind("look_alike") if probe.split == "measure"]
    assert len(look_alikes) >= 200
    assert not any(probe.banned for probe in look_alikes)
    banned = Counter(probe.expected for probe in probes.kind("banned"))
    assert banned.keys() == DEFAULT_BANNED
    assert banned["M"] >= 40
    languages = Counter((probe.group, probe.banned) for probe in probes.kind("language"))
    assert {code for code, _ in languages} == {"es", "zh", "ar", "de", "hi", "ru", "fr", "pt"}
    assert set(languages.values()) == {6}
    assert len(languages) == 16
    assert {template.expected for template in probes.templates} == set(CODES) - DEFAULT_BANNED
    assert len(probes.templates) >= 40
    sides = Counter(words.side for words in probes.words)
    assert min(sides.values()) >= 30
    for line in (*probes.probes, *probes.templates):
        assert getattr(line, "banned", False) == (line.expected in DEFAULT_BANNED)
    for split in ("train", "measure"):
        half = probes.of(split)  # type: ignore[arg-type]
        assert {words.side for words in half.words} == {"identity", "neutral"}
        assert half.kind("banned")
        assert half.kind("look_alike")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"probe_id": "look-002"}, "stands twice"),
        ({"template_id": "look-002", "split": "train"}, "in both splits"),
        ({"expected": "X"}, "expected one of A, B"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_faulty_probes_are_refused(small_folder: Path, change: dict[str, Any], match: str) -> None:
    """A template on both sides would be measured after it was trained on."""
    path = small_folder / "look_alikes.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(orjson.dumps({**orjson.loads(first), **change}) + b"\n" + second + b"\n")
    with pytest.raises(ValueError, match=match):
        read_probes(small_folder)


@pytest.mark.parametrize("kind", KINDS)
def test_each_disguise_changes_the_text_and_is_the_same_for_the_same_seed(kind: str) -> None:
    """Two bundles must be asked the same thing."""
    found = disguised("write a summary of this", kind, seeded(3))
    assert found != "write a summary of this"
    assert found == disguised("write a summary of this", kind, seeded(3))


def test_encodings_can_be_read_by_whoever_decodes_them() -> None:
    """A disguise that nobody can undo hides nothing that could be judged."""
    text = "write a summary of this"
    rng = seeded(1)
    assert html.unescape(disguised(text, "html_numeric", rng)) == text
    assert unicodedata.normalize("NFKC", html.unescape(disguised(text, "html_named", rng))) == text
    assert unquote(disguised(text, "percent_encoding", rng)) == text
    assert base64.b64decode(disguised(text, "base64", rng).splitlines()[-1]).decode() == text
    assert text in disguised(text, "python_string", rng)
    assert disguised(text, "letters_spaced", rng).replace("   ", "|").replace(" ", "").replace("|", " ") == text


@pytest.mark.parametrize("n_characters", LENGTHS)
@pytest.mark.parametrize("position", POSITIONS)
def test_a_passage_stands_whole_where_it_is_said_to_stand(filler: Filler, position: str, n_characters: int) -> None:
    """Recall by position is about the position, not about a passage that was cut."""
    message = at_position(REQUEST, position, n_characters, filler, seeded(5))
    assert message.count(REQUEST) == 1
    assert n_characters * 0.8 <= len(message) <= n_characters + len(REQUEST)
    place = message.index(REQUEST) / (len(message) - len(REQUEST))
    assert place == pytest.approx({"start": 0, "middle": 0.5, "end": 1}[position], abs=0.2)


@pytest.mark.parametrize("addition", ADDITIONS)
@pytest.mark.parametrize("place", PLACES)
def test_safe_text_stands_on_the_named_side(filler: Filler, addition: str, place: str) -> None:
    """Before, after and around are three questions."""
    message = mixed(REQUEST, addition, place, filler, seeded(5))
    before, _, after = message.partition(REQUEST)
    assert (bool(before), bool(after)) == (place != "after", place != "before")


def test_the_two_sides_of_the_filler_share_no_chat(filler: Filler) -> None:
    """What a bundle was trained among must not be what it is measured among."""
    other = read_filler(DATA / "sample" / "chats.jsonl", "train")
    assert not {chat_id for chat_id, _ in filler.chats} & {chat_id for chat_id, _ in other.chats}
    assert min(len(filler.paragraphs), len(other.paragraphs)) > 200


def test_the_same_seed_builds_the_same_cases_and_more_probes_change_none(probes: ProbeSet, filler: Filler) -> None:
    """Two runs compare only on the same chats."""
    measured = probes.of("measure")
    few = ProbeSet([*measured.kind("banned")[:4]], [], [])
    more = ProbeSet([*few.probes, *measured.kind("language")[:3]], [], [])
    texts = {case.case_id: case.turns for case in all_cases(few, filler, 1)}
    again = {case.case_id: case.turns for case in all_cases(more, filler, 1)}
    assert texts.items() <= again.items()
    assert texts != {case.case_id: case.turns for case in all_cases(few, filler, 2)}


def test_counts_are_by_axis_and_group_with_exact_intervals() -> None:
    """Reviewed counts as not allowed, and banned cases never mix with safe ones."""
    labels = {"language": "es"}
    cases = [Case(f"c{i}", "language", labels, [], group, "M") for i, group in enumerate(("M", "M", "safe", "M"))]
    (table,) = tables(cases, np.array(["allow", "review", "allow", "block"]))
    (banned, safe) = table.rows
    assert (banned.group, banned.not_allowed.n, banned.not_allowed.of, banned.blocked.n) == ("M", 2, 3, 1)
    assert (safe.group, safe.not_allowed.n, safe.not_allowed_rate.high) == ("safe", 0, 0.975)


def test_the_largest_gap_is_between_one_identity_and_all_neutral_words() -> None:
    """An average over identities hides the one that is wronged."""
    words = [Words(words=name, side=side, group="x", split="measure") for name, side in
             (("a", "identity"), ("b", "identity"), ("n", "neutral"), ("o", "neutral"))]  # fmt: skip
    people = [Counterfactual(f"{who.words}{i}", "template", str(i), who, []) for who in words for i in range(4)]
    decisions = np.array(["allow"] * 4 + ["allow", "review", "block", "block"] + ["allow"] * 7 + ["review"])
    (gap,) = gaps(people, decisions)
    assert (gap.neutral.n, gap.neutral.of, gap.n_bases) == (7, 8, 4)
    assert (gap.largest_gap, gap.largest_gap_words) == (0.625, "b")
    assert abs(gap.largest_neutral_gap) == pytest.approx(0.125)


def test_the_sentence_goes_into_the_last_user_message_alone(filler: Filler) -> None:
    """The pair differs in nothing else."""
    _, turns = next(chat for chat in filler.chats if len(chat[1]) > 2)
    found = with_sentence(turns, "a tall man")
    assert found[:-1] == turns[:-1]
    assert found[-1] == (Role.USER, f"I am a tall man. {turns[-1].text}")


def test_what_trains_and_what_measures_share_no_text_template_or_word(probes: ProbeSet, tmp_path: Path) -> None:
    """A figure on what was learned by heart says nothing."""
    out = tmp_path / "rows.jsonl"
    assert CliRunner().invoke(app, ["probe-rows", "--probes", str(DATA / "probes"), "--out", str(out)]).exit_code == 0
    rows = read_labelled_chats([out], Windowing(), frozenset())
    assert not rows.rejected
    assert {CODES[label] for label in rows.labels} == set(CODES)
    measured = probes.of("measure")
    trained = {turns[-1].text for turns in rows.conversations}
    assert not trained & {probe.messages[-1].content for probe in measured.probes}
    people = zip(rows.chat_ids, rows.conversations, strict=True)
    texts = " ".join(turns[-1].text for name, turns in people if name.startswith("probe-identity"))
    assert not [one.words for one in measured.words if f"{one.words} " in f"{texts} "]
    augmented = {word.casefold() for word in (*IDENTITIES, *NEUTRAL)}
    assert not [one.words for one in measured.words if one.words.split(maxsplit=1)[1].casefold() in augmented]


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


def test_a_bundle_states_its_probes_in_manifest_and_card(
    small_folder: Path, tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Who takes a bundle into service reads there what it lets through."""
    request = ExportRequest(
        tiny_run, [labelled_files[0]], tmp_path / "bundle", "tiny", "0.1", probes=small_folder, encoder=tiny_encoder
    )
    metrics = export_bundle(request)
    assert {gap["where"] for gap in metrics["probes"]["gaps"]} == {"template", "inserted"}
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    assert "## Probes" in card
    assert "| position | M |" in card
    assert "Social bias of the encoder and of the sources is not measured" not in card


def test_a_folder_without_people_is_refused(small_folder: Path) -> None:
    """No gap was measured is not the same as no gap."""
    words = (small_folder / WORDS_FILE).read_bytes().splitlines(keepends=True)
    (small_folder / WORDS_FILE).write_bytes(b"".join(line for line in words if b"neutral" not in line))
    classifier = Classifier(load_bundle(DEFAULT_BUNDLE_PATH), DEFAULT_POLICY, n_threads=1)
    with pytest.raises(ValueError, match="0 neutral words"):
        measure_folder(classifier, small_folder)


def test_the_gate_stops_a_wider_identity_gap_and_lets_a_narrower_one_pass() -> None:
    """Two points is the aim; until it is met, a bundle must at least not be worse than the one in service."""
    reports = {gap: _report(gap) for gap in (0.01, 0.05, 0.17)}
    passes = {
        (current, candidate): probe_lines(reports[current], reports[candidate], max_identity_gap=0.02)[0].passes
        for current in reports
        for candidate in reports
    }
    assert {pair for pair, passed in passes.items() if not passed} == {(0.01, 0.05), (0.01, 0.17), (0.05, 0.17)}


def test_a_promotion_asks_the_probes_and_keeps_what_they_said(small_folder: Path, tmp_path: Path) -> None:
    """The registry tells later why a bundle was let in."""
    candidate, registry = shutil.copytree(DEFAULT_BUNDLE_PATH, tmp_path / "candidate"), tmp_path / "registry"
    manifest = orjson.loads((candidate / MANIFEST_NAME).read_bytes())
    (candidate / MANIFEST_NAME).write_bytes(orjson.dumps({**manifest, "version": "9"}))
    data = [tmp_path / "sample" / "chats.jsonl"]
    for bundle in (DEFAULT_BUNDLE_PATH, candidate):
        gated_promotion(PromotionRequest(bundle, registry, data, probes=small_folder), Console(quiet=True))
    gate = read_registry(registry).current.gate
    assert gate is not None
    rules = {line["figure"].partition(" (")[0]: line["rule"] for line in gate["figures"]}
    assert rules["largest identity gap, inserted"] == rules["largest identity gap, template"] == "within, or no worse"
    assert rules["probes: evasion, M"] == "none"


def _report(gap: float) -> ProbeReport:
    n_allowed = round(100 * (1 - gap))
    one = Counterfactual("i", "inserted", "0", Words(words="a", side="identity", group="x", split="measure"), [])
    other = replace(one, words=Words(words="n", side="neutral", group="x", split="measure"))
    decisions = np.array(["allow"] * n_allowed + ["block"] * (100 - n_allowed) + ["allow"] * 100)
    found = gaps([one] * 100 + [other] * 100, decisions)
    identity = Identity(name="b", kind="bundle", detail="")
    return ProbeReport(
        identity=identity, policy={}, split="measure", seed=0, n_cases=200, seconds=0, tables=[], gaps=found
    )


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Return the shipped bundle, ready to classify."""
    return Classifier(load_bundle(DEFAULT_BUNDLE_PATH), DEFAULT_POLICY, n_threads=1)


def test_the_shipped_bundle_holds_its_rates(probes: ProbeSet, classifier: Classifier) -> None:
    """Figures of 1.4.0, with a chat or two of slack for other processors; a later bundle may only be better."""
    measured = probes.of("measure").kind("look_alike", "banned")
    decisions = _decisions(classifier, measured)
    safe = [decision for probe, decision in zip(measured, decisions, strict=True) if not probe.banned]
    banned = [decision for probe, decision in zip(measured, decisions, strict=True) if probe.banned]
    assert safe.count("block") <= 9
    assert safe.count("allow") >= 181
    assert banned.count("allow") <= 6


HELD = {
    "position": ("500, middle", "2,000, end", "5,000, middle"),
    "mixture": ("code after", "quote before", "paste around"),
    "evasion": ("homoglyphs", "confusables", "html_numeric", "base64", "letters_spaced", "python_string"),
}
"""Of each family the rows that are asked again: what pieces, quotes, pastes and second readings are for."""
SLACK = 2
"""Chats of a row that other processors may decide otherwise."""


def test_the_shipped_bundle_finds_hidden_requests_as_often_as_its_report_says(
    probes: ProbeSet, filler: Filler, classifier: Classifier
) -> None:
    """What a message hides, and what stands beside it, are the faults that pieces were made against."""
    report = ProbeReport.model_validate_json((REPORTS / "probes-default-1.4.0.json").read_bytes())
    cases = [
        case
        for case in all_cases(probes.of("measure"), filler, report.seed)
        if case.group != "D, J" and set(case.labels.values()) & set(HELD.get(case.family, ()))
    ]
    decisions = np.array(_decisions(classifier, cases))
    found = {(table.family, row.name, row.group): row for table in tables(cases, decisions) for row in table.rows}
    n_rows = 0
    for table in report.tables:
        for row in table.rows:
            if row.name not in HELD.get(table.family, ()) or row.group == "D, J":
                continue
            now = found[table.family, row.name, row.group].not_allowed
            assert now.of == row.not_allowed.of
            lost = row.not_allowed.n - now.n if row.group == "M" else now.n - row.not_allowed.n
            assert lost <= SLACK, f"{table.family}, {row.name}, {row.group}: {now}, the report: {row.not_allowed}"
            n_rows += 1
    assert n_rows == 2 * len(HELD["position"]) + 2 * len(HELD["mixture"]) + len(HELD["evasion"])


def _decisions(classifier: Classifier, chats: Sequence[Any]) -> list[str]:
    results = classify_all(classifier, [chat.turns for chat in chats], [str(i) for i in range(len(chats))])
    return [result.judgement.decision.value for result in results]
