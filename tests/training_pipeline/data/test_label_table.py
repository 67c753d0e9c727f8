"""Labels that come as a table, from people or models outside the pipeline."""

from pathlib import Path

import pytest

from tests.training_pipeline.data.chat_files import chat, read_lines, write_lines
from training_pipeline.data.agree import AgreeOptions, Keep, agree
from training_pipeline.data.errors import DataError
from training_pipeline.data.label_table import read_label_table

HEADER = "chat_id,category,confidence,runner_up\n"


def table(tmp_path: Path, *lines: str, header: str = HEADER) -> Path:
    """Write a label table."""
    path = tmp_path / "reader.csv"
    path.write_text(header + "".join(line + "\n" for line in lines))
    return path


def test_a_table_labels_the_chats_it_names_and_no_others(tmp_path: Path) -> None:
    """The table's name is the annotator's, and its confidence becomes a soft label."""
    chats = write_lines(tmp_path / "chats.jsonl", [chat("one", "hello"), chat("two", "write a poem")])
    labels = table(tmp_path, "two,D,2,C", "elsewhere,A,3,-")
    out = tmp_path / "out.jsonl"
    options = AgreeOptions(keep=Keep.CONSENSUS, min_votes=1, min_weight=0.5)
    agree([chats], [], out, options, tables=[labels])
    (row,) = read_lines(out)
    assert (row["chat_id"], row["category"], row["soft_label"]) == ("two", "D", {"C": 0.2, "D": 0.8})
    assert row["annotations"] == {"reader": ["D", "2", "C"]}


@pytest.mark.parametrize("line", ["one,X,3,-", "one,A,4,-", "one,A,3,Z", "one,A,3"])
def test_a_line_that_is_no_label_is_named(tmp_path: Path, line: str) -> None:
    """A typo in a spreadsheet must not become a label."""
    with pytest.raises(DataError, match=r"reader.csv:3: not a label"):
        list(read_label_table(table(tmp_path, "zero,A,3,-", line)))


def test_other_columns_are_refused(tmp_path: Path) -> None:
    """A table of another kind must not be read by luck."""
    with pytest.raises(DataError, match="expected chat_id,category"):
        list(read_label_table(table(tmp_path, header="id,label\n")))
