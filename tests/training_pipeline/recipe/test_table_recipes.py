"""The recipes for tables of one's own run from the table to compared bundles, here with a tiny encoder."""

import csv
from collections import Counter
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from model import Classification, Classifier, load_bundle
from schemas import Role, Turn, shipped_taxonomy
from training_pipeline.recipe.config import read_recipe
from training_pipeline.recipe.recipe import Outcome, run_recipe
from training_pipeline.recipe.stages import tasks_of

_RECIPES = Path(__file__).parents[3] / "recipes"
_TOXICITY = Path(__file__).parents[3] / "data" / "toxicity"
_SHORT_WORDS = 8


@pytest.fixture(scope="module", params=["community", "toxicity"])
def work(request: pytest.FixtureRequest, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work folder of a recipe as it ships, but for the encoder and the epochs."""
    folder = tmp_path_factory.mktemp("work") / str(request.param)
    settings = {
        "work": folder,
        "threads": 1,
        "stages.head.encoder": tiny_encoder,
        "stages.train.encoder": tiny_encoder,
        "stages.train.config.n_epochs": 1,
        "stages.compare.resamples": 20,
        "stages.compare.timed_chats": 2,
    }
    recipe = read_recipe(_RECIPES / f"{request.param}.yaml", [f"{name}={value}" for name, value in settings.items()])
    outcomes = run_recipe(recipe, Console(quiet=True))
    assert {line.outcome for line in outcomes} == {Outcome.DONE}
    return folder


def test_both_bundles_serve_their_taxonomy(work: Path) -> None:
    """From a CSV to two bundles that the worker takes."""
    taxonomy = shipped_taxonomy(work.name)
    for folder in (work / "head" / "bundle", work / "bundle"):
        bundle = load_bundle(folder)
        assert bundle.taxonomy == taxonomy
        assert bundle.default_policy.banned == taxonomy.banned
        classifier = Classifier(bundle, bundle.default_policy, n_threads=1)
        (found,), _ = classifier.classify([[Turn(Role.USER, "how do I bleed a radiator?")]])
        assert isinstance(found, Classification)
        assert list(found.probabilities) == list(taxonomy.codes)


def test_the_comparison_holds_both_bundles_by_category(work: Path) -> None:
    """Text, page and document say the same of every category."""
    document = orjson.loads((work / "comparison.json").read_bytes())
    text, page = (work / "comparison.txt").read_text(), (work / "comparison.html").read_text()
    names = [f"{work.name}-head 0.1", f"{work.name}-minilm 0.1"]
    assert [model["identity"]["name"] for model in document["models"]] == names
    for code in shipped_taxonomy(work.name).codes:
        assert f"{code} " in text
        assert all(code in model["category_roc"] for model in document["models"])
    assert all(name in text and f"ROC by category, {name}" in page for name in names)
    assert "weighted avg" in text
    assert (" banned " in text) == (work.name == "toxicity")
    n_dev = sum(1 for _ in (work / "splits" / "dev.jsonl").open())
    assert document["setting"]["n_chats"] == n_dev > 100


def test_the_published_part_is_the_one_that_is_measured_on(work: Path) -> None:
    """Figures of one day can be compared with those of another."""
    rows = [orjson.loads(line) for line in (work / "splits" / "train.jsonl").open()]
    assert {row["part"] for row in rows} == {"train"}
    assert {row["category"] for row in rows} == set(shipped_taxonomy(work.name).codes)


def test_the_recipes_ask_for_the_head_as_it_is_described() -> None:
    """One hidden layer, inverse-frequency weights, Adam at 1e-3, batches of 32, 40 epochs at most, patience 3."""
    for name in ("community", "toxicity"):
        head = read_recipe(_RECIPES / f"{name}.yaml").stages.head
        assert head is not None
        config = head.config
        assert (config.frozen_encoder, config.hidden_layer, config.class_weights) == (True, True, "balanced")
        assert (config.head_lr, config.weight_decay, config.batch_rows) == (1e-3, 0, 32)
        assert (config.n_epochs, config.early_stopping_patience) == (40, 3)
        assert config.taxonomy == shipped_taxonomy(name)


def test_a_comparison_without_a_bundle_and_a_head_that_is_not_frozen_are_refused(tmp_path: Path) -> None:
    """Each names what to add or to change."""
    path = tmp_path / "recipe.yaml"
    path.write_text("work: w\nstages: {split: {data: [a.jsonl]}, compare: {}}\n")
    with pytest.raises(ValueError, match=r"stages.compare: no bundle to compare; add the stage `head` or `export`"):
        tasks_of(read_recipe(path), Console(quiet=True))
    with pytest.raises(ValueError, match=r"frozen_encoder is false"):
        read_recipe(_RECIPES / "community.yaml", ["stages.head.config.frozen_encoder=false"])


def test_an_unlabelled_table_is_not_split(tmp_path: Path) -> None:
    """Its chats go to annotators first."""
    path = tmp_path / "recipe.yaml"
    path.write_text("work: w\nstages: {extract: {records: [a.csv], table: {text_column: m}}, split: {}}\n")
    with pytest.raises(ValueError, match=r"stages.split: names no data, and `agree` is left out"):
        tasks_of(read_recipe(path), Console(quiet=True))


def test_the_shipped_messages_hold_short_ones_of_every_category() -> None:
    """Who saw no small talk calls "hello" toxic; who saw short harmless texts alone calls short threats safe."""
    with (_TOXICITY / "messages.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert f"`messages.csv`: {len(rows)} messages" in (_TOXICITY / "README.md").read_text()
    texts = Counter(" ".join(row["message"].casefold().split()).strip(" .!?") for row in rows)
    assert [text for text, n in texts.items() if n > 1] == []
    assert len({row["id"] for row in rows}) == len(rows)
    short = Counter((row["label"], row["part"]) for row in rows if len(row["message"].split()) <= _SHORT_WORDS)
    least = {"not_toxic": (70, 20), "toxic": (16, 4), "jailbreak": (7, 3)}
    for label, (n_train, n_dev) in least.items():
        assert short[label, "train"] >= n_train
        assert short[label, "dev"] >= n_dev


def test_a_plain_table_of_texts_and_labels_goes_through_the_first_stages(tmp_path: Path) -> None:
    """The command of recipes/README.md, up to the chats and their split."""
    labels = ("not_toxic", "toxic", "jailbreak")
    lines = "".join(f"{label} number {i} {label[::-1]} w{i * 7919},{label}\n" for i in range(20) for label in labels)
    (tmp_path / "mine.csv").write_text(f"text,label\n{lines}")
    settings = [
        f"data.table={tmp_path / 'mine.csv'}",
        f"work={tmp_path / 'work'}",
        "stages.head=null",
        "stages.train=null",
    ]
    settings += ["stages.export=null", "stages.compare=null", "stages.extract.table.text_column=text"]
    settings += ["stages.extract.table.label_column=label", "stages.extract.table.id_column=null"]
    settings += ["stages.extract.table.keep_columns=[]", "stages.split.by=null"]
    outcomes = run_recipe(read_recipe(_RECIPES / "toxicity.yaml", settings), Console(quiet=True))
    assert [line.outcome for line in outcomes] == [Outcome.DONE, Outcome.DONE]
    assert len((tmp_path / "work" / "splits" / "train.jsonl").read_text().splitlines()) > 20
