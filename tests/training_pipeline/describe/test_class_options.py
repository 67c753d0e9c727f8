"""Classes and examples as the command line and files give them."""

from pathlib import Path

import pytest

from training_pipeline.describe.class_options import descriptions_of, examples_in, examples_of


def test_options_hold_a_name_and_a_text() -> None:
    """Only the first colon counts."""
    assert descriptions_of(["cat: Cats: they meow", " dog :Dogs"]) == {"cat": "Cats: they meow", "dog": "Dogs"}
    assert examples_of(["dog: Fido …", "dog: Rex"]) == [("dog", "Fido …"), ("dog", "Rex")]


@pytest.mark.parametrize("option", ["cat", "cat:", ": Cats", ":", " : "])
def test_an_option_without_a_name_or_a_text_is_refused(option: str) -> None:
    """It shows what one looks like."""
    with pytest.raises(ValueError, match=r'--class .*expected "NAME: TEXT"'):
        descriptions_of([option])


def test_a_class_that_is_described_twice_is_refused() -> None:
    """The second would silently win."""
    with pytest.raises(ValueError, match="--class 'cat' is there twice"):
        descriptions_of(["cat: Cats.", "cat: More."])


@pytest.mark.parametrize("header", ["class,text", "Message,Label", "\ufefflabel,content,id", "text,message_type"])
def test_a_table_needs_a_column_of_classes_and_one_of_texts(tmp_path: Path, header: str) -> None:
    """Under the names that tables have."""
    path = tmp_path / "examples.csv"
    row = {"class": "dog", "label": "dog", "message_type": "dog", "id": "7"}
    cells = [row.get(name.strip("\ufeff").lower(), '"Fido, the ""good"" boy\nbarks"') for name in header.split(",")]
    path.write_text(f"{header}\n{','.join(cells)}\n", encoding="utf-8")
    assert examples_in(path) == [("dog", 'Fido, the "good" boy\nbarks')]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_any_usual_delimiter_separates_cells(tmp_path: Path, delimiter: str) -> None:
    """Spreadsheets of half of the world write semicolons; commas then are text."""
    path = tmp_path / "examples.csv"
    path.write_text(f"text{delimiter}class\nFido, good boy{delimiter}dog\nmeow{delimiter}cat\n")
    assert examples_in(path) == [("dog", "Fido, good boy"), ("cat", "meow")]
    path.write_text(f"text{delimiter}class\nmeow{delimiter}cat\nwoof{delimiter} \n")
    with pytest.raises(ValueError, match="line 3: class ' ' and text 'woof'; expected both"):
        examples_in(path)


def test_labelled_chats_give_their_last_user_message(tmp_path: Path) -> None:
    """What `synthesise` writes and `train` reads."""
    path = tmp_path / "chats.jsonl"
    path.write_text(
        '{"category": "dog", "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hi!"}, '
        '{"role": "user", "content": "woof"}]}\n\n'
    )
    assert examples_in(path) == [("dog", "woof")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"", "the header is empty; expected one of class, label, category"),
        ("x.csv", b"class,label,text\n", "expected one of class, label, category"),
        ("x.csv", b"class,body\n", "the header is 'class', 'body'; expected one of text, message, content"),
        ("x.csv", b"class,text\n", "holds no example"),
        ("x.csv", b"class,text\ndog,\n", "line 2: class 'dog' and text ''; expected both"),
        ("x.csv", b"class,text\ndog\n", "line 2: class 'dog' and text ''; expected both"),
        ("x.csv", b'class,text\ndog,"woof', "not CSV"),
        ("x.csv", b"class,text\ndog,\xff\n", "not UTF-8"),
        ("x.jsonl", b"{", "line 1: not a labelled chat"),
        ("x.jsonl", b'{"category": "dog", "messages": []}', "line 1: expected a category and a user message"),
        ("x.jsonl", b"", "holds no example"),
    ],
)
def test_a_file_without_usable_examples_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """With the line where it went wrong."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        examples_in(path)
