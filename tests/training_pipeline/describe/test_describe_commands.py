"""`describe` makes a bundle that `classify` answers from; `compare-descriptions` measures it."""

from pathlib import Path

import orjson
import pytest

from model import load_bundle
from tests.command_line import run_main
from training_pipeline.describe.compare import compare
from training_pipeline.describe.sets import DEFAULT_SETS, DescribedSet, read_sets

REPOSITORY = Path(__file__).parents[3]
PETS = ("--class", "cat: Cats meow and purr.", "--class", "dog: Dogs bark and fetch.")


def test_described_classes_with_examples_become_a_bundle_that_classify_serves(tmp_path: Path) -> None:
    """The two commands of the README."""
    table = tmp_path / "more.csv"
    table.write_text("class,text\nbird,tweet tweet\nbird,my parrot sings\n")
    out = tmp_path / "My pets"
    options = ("--example", "dog: Fido likes bones", "--examples", table, "--ban", "bird", "--out", out)
    ended = run_main("training_pipeline", "describe", *PETS, *options)
    assert ended.returncode == 0, ended.stderr
    printed = orjson.loads(ended.stdout.splitlines()[-1])
    assert printed["codes"] == ["cat", "dog", "bird"]
    assert printed["examples"] == {"cat": 0, "dog": 1, "bird": 2}
    bundle = load_bundle(out)
    assert (bundle.ref.name, bundle.digest, bundle.taxonomy.banned) == ("my-pets", printed["digest"], {"bird"})

    answered = run_main("model", "classify", "--bundle", out, "--json", "Fido likes bones")
    answer = orjson.loads(answered.stdout)
    assert answer["category"]["code"] == "dog"
    assert list(answer["probabilities"]) == ["cat", "dog", "bird"]
    shown = run_main("model", "classify", "--bundle", out, "my kitten purrs").stdout.decode()
    assert "cat" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "found 0 classes"),
        (("--class", "cat: Cats."), "found 1 classes"),
        (("--class", "cat"), 'expected "NAME: TEXT"'),
        ((*PETS, "--ban", "bird"), "banned names 'bird'"),
        ((*PETS, "--example", "dog"), 'expected "NAME: TEXT"'),
        ((*PETS, "--version", "x"), "version 'x'"),
    ],
)
def test_classes_that_cannot_be_learnt_end_the_command_with_3(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    """One line, and no bundle."""
    ended = run_main("training_pipeline", "describe", *options, "--out", tmp_path / "pets")
    assert ended.returncode == 3
    assert message in ended.stderr.decode()
    assert not (tmp_path / "pets").exists()


@pytest.fixture(scope="module")
def sets() -> list[DescribedSet]:
    """Return the sets of the repository, small ones that differ."""
    return [one for one in read_sets(REPOSITORY / DEFAULT_SETS) if one.name in {"tickets", "chat-room", "reviews"}]


def test_descriptions_are_worth_their_cosine_and_examples_more(sets: list[DescribedSet]) -> None:
    """The promise of `describe`, on each set: not below cosine similarity; with examples above it and above a ridge."""
    for row in compare(sets, n_examples=10, n_draws=3, n_threads=2):
        assert row["described"] >= row["cosine"]
        assert row["described, examples"] > row["cosine"] + 0.03
        assert row["described, examples"] >= row["ridge"] - 0.02
        assert row["described, examples of one class"] > row["cosine"] - 0.03


def test_sets_without_descriptions_or_texts_are_refused(tmp_path: Path) -> None:
    """A class that cannot be measured would count as wrong."""
    with pytest.raises(ValueError, match=r"holds no \.toml"):
        read_sets(tmp_path)
    (tmp_path / "pets.toml").write_text(
        'name = "pets"\nversion = "1"\n'
        '[[categories]]\ncode = "cat"\nname = "cat"\ndescription = "Cats."\n'
        '[[categories]]\ncode = "dog"\nname = "dog"\n'
    )
    (tmp_path / "pets.csv").write_text("class,text\ncat,meow\ncat,purr\ndog,woof\n")
    with pytest.raises(ValueError, match="dog lacks a description or has fewer than 2 texts"):
        read_sets(tmp_path)
