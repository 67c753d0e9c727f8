"""Splits that keep shares and keep look-alikes together."""

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import CHAT_13
from tests.training_pipeline.data.chat_files import Chat, chat, read_lines, rejects_of, write_lines
from training_pipeline.data.errors import DataError
from training_pipeline.data.grouped_split import folds_of, split
from training_pipeline.data.stage_files import file_digest

RATIOS = {"train": 0.8, "dev": 0.1, "test": 0.1}


def families(n_families: int, seed: int = 1) -> list[Chat]:
    """Return labelled chats in families of 1 to 4 near-duplicates; the family is a field."""
    rng = random.Random(seed)  # noqa: S311  made-up words, no secrets
    chats = []
    for family in range(n_families):
        words = [f"w{rng.randrange(5_000)}" for _ in range(40)]
        category = CHAT_13.codes[family % len(CHAT_13.codes)]
        for i in range(rng.choice([1, 1, 1, 2, 4])):
            words[rng.randrange(40)] = f"v{family}"
            chats.append(chat(f"chat-{family}-{i}", " ".join(words), category=category, family=family))
    rng.shuffle(chats)
    return chats


def run(tmp_path: Path, chats: list[Chat], out: str = "out", **options: Any) -> dict[str, list[Any]]:
    """Split the chats; return the rows of each split."""
    path = write_lines(tmp_path / "chats.jsonl", chats)
    arguments = {"threshold": 0.6, "seed": 0, **options}
    split([path], tmp_path / out, RATIOS, **arguments)
    return {name: read_lines(tmp_path / out / f"{name}.jsonl") for name in RATIOS}


def test_no_family_of_near_duplicates_straddles_two_splits(tmp_path: Path) -> None:
    """A test chat that training has seen in other words measures memory."""
    rows = run(tmp_path, families(400))
    splits = defaultdict(set)
    for name, found in rows.items():
        for row in found:
            splits[row["family"]].add(name)
    assert all(len(names) == 1 for names in splits.values())


def test_every_chat_is_in_one_split_and_every_category_keeps_its_share(tmp_path: Path) -> None:
    """A split without a rare category cannot measure it."""
    chats = families(1_000)
    rows = run(tmp_path, chats)
    assert Counter(row["chat_id"] for found in rows.values() for row in found) == Counter(c["chat_id"] for c in chats)
    total = Counter(row["category"] for row in chats)
    for name, ratio in RATIOS.items():
        assert len(rows[name]) == pytest.approx(ratio * len(chats), rel=0.15)
        counts = Counter(row["category"] for row in rows[name])
        for code in CHAT_13.codes:
            assert counts[code] == pytest.approx(ratio * total[code], abs=6)


def test_chats_with_one_id_or_one_opening_stay_together(tmp_path: Path) -> None:
    """States of one chat, and forks of one first question, are no near-duplicates as a whole."""
    chats = families(60)
    for i in range(40):
        own = " ".join(f"x{i}-{j}" for j in range(60))
        chats.append(chat("one-id", own, category="E", family="id"))
        opening = "Please compare these two laptops for me"
        chats.append(chat(f"fork-{i}", opening, "sure", own + " fork", category="H", family="opening"))
    rows = run(tmp_path, chats)
    for family in ("id", "opening"):
        assert len({name for name, found in rows.items() for row in found if row["family"] == family}) == 1


# scikit-learn says that one category has 19 chats for 20 folds; the split is right all the same.
@pytest.mark.filterwarnings("ignore:The least populated class in y has only 19 members:UserWarning")
def test_chats_related_to_an_excluded_file_are_rejected_by_whole_groups(tmp_path: Path) -> None:
    """Evaluation chats never train, in whatever words they come back."""
    chats = families(200)
    unseen = [row for row in chats if row["family"] < 20 and row["chat_id"].endswith("-0")]
    excluded = write_lines(tmp_path / "dev.jsonl", [{**row, "chat_id": f"dev-{row['chat_id']}"} for row in unseen])
    rows = run(tmp_path, chats, excluded=[excluded])
    assert not [row for found in rows.values() for row in found if row["family"] < 20]
    rejected = rejects_of(tmp_path / "out" / "splits")
    assert set(rejected.values()) == {"related_to_excluded"}
    assert len(rejected) + sum(map(len, rows.values())) == len(chats)


def test_the_same_seed_gives_the_same_files_and_the_report_their_digests(tmp_path: Path) -> None:
    """A figure belongs to a split, and the digest is the split's name."""
    chats = families(100)
    first, again, other = (run(tmp_path, chats, out, seed=seed) for out, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert first == again
    assert first != other
    report = orjson.loads((tmp_path / "a" / "splits.report.json").read_bytes())
    for name in RATIOS:
        assert report["outputs"][f"{name}.jsonl"] == file_digest(tmp_path / "a" / f"{name}.jsonl")
        assert report["details"]["splits"][name]["n_chats"] == len(first[name])


@pytest.mark.parametrize("ratios", [{"a": 0.5, "b": 0.4}, {"a": 0.97, "b": 0.03}, {"a": 1.5, "b": -0.5}])
def test_ratios_that_cannot_be_kept_are_refused(ratios: dict[str, float]) -> None:
    """A split of another size than asked for would go unnoticed."""
    with pytest.raises(DataError, match="multiples"):
        folds_of(ratios)


def test_a_chat_without_a_category_and_a_handful_of_chats_are_refused(tmp_path: Path) -> None:
    """Both are mistakes in the call, not in the data."""
    with pytest.raises(DataError, match="no category"):
        run(tmp_path, [*families(40), chat("unlabelled", "hello")])
    with pytest.raises(DataError, match="groups of chats"):
        run(tmp_path, families(5))
    assert not (tmp_path / "out" / "train.jsonl").exists()


def test_chats_of_one_thread_stay_together(tmp_path: Path) -> None:
    """A message of a thread holds the ones before it, whoever opened its own window."""
    rows = run(tmp_path, [row | {"thread": f"t{row['family'] % 100}"} for row in families(400)])
    splits = defaultdict(set)
    for name, found in rows.items():
        for row in found:
            splits[row["thread"]].add(name)
    assert all(len(names) == 1 for names in splits.values())


def test_chats_may_name_their_split_and_of_a_group_in_two_the_later_split_keeps_its_own(tmp_path: Path) -> None:
    """A published test set stays what it is, and no look-alike of it is learnt."""
    chats = families(60)
    parts = {row["chat_id"]: ("train", "dev", "test")[row["family"] % 3] for row in chats}
    first = next(row for row in chats if parts[row["chat_id"]] == "test")
    copy = first | {"chat_id": "copy"}
    rows = run(
        tmp_path, [row | {"part": parts[row["chat_id"]]} for row in chats] + [copy | {"part": "train"}], by="part"
    )
    found = {row["chat_id"]: name for name, split_rows in rows.items() for row in split_rows}
    assert found == parts
    (reject,) = read_lines(tmp_path / "out" / "splits.rejects.jsonl")
    assert (reject["chat_id"], reject["error"]) == ("copy", "resembles a chat whose part is test")


@pytest.mark.parametrize(
    ("part", "message"), [("eval", "part is 'eval'; expected one of train, dev, test"), ("train", "part is dev, test")]
)
def test_a_split_that_is_not_asked_for_and_one_without_chats_are_refused(
    tmp_path: Path, part: str, message: str
) -> None:
    """Either is a typo in a column, or in a recipe."""
    with pytest.raises(DataError, match=message):
        run(tmp_path, [row | {"part": part} for row in families(30)], by="part")
