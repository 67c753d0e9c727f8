"""A table of texts: read, judged with a progress bar, downloaded."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from console.settings.console import PagesSettings
from tests.console.conftest import StartConsole
from tests.console.pages.conftest import OpenPage
from tests.console.server import RunningConsole

ROWS = [
    ("1", 'say "hi", please'),
    ("2", "=HYPERLINK(1)"),
    ("-3", "line one\nline two"),
    ("@4", "+1 for the second option"),
    ("5", ""),
]


def _choose(page: Page, content: bytes, name: str = "texts.csv") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "text/csv", "buffer": content})


def _written(separator: str = ",") -> bytes:
    target = io.StringIO()
    csv.writer(target, delimiter=separator).writerows([("id", "message"), *ROWS])
    return target.getvalue().encode()


@pytest.mark.parametrize(("separator", "mark"), [(",", b""), (";", b"\xef\xbb\xbf"), ("\t", b"")])
def test_a_file_is_classified_and_downloaded(
    open_page: OpenPage, try_console: RunningConsole, tmp_path: Path, separator: str, mark: bytes
) -> None:
    """Every column stays; a cell that a spreadsheet would run as a formula begins with an apostrophe."""
    page = open_page(f"{try_console.url}/try")
    _choose(page, mark + _written(separator))
    expect(page.get_by_label("Text column").locator("option:checked")).to_have_text("message")
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_have_text("5 rows classified, 1 row refused")
    assert page.locator("#progress").evaluate("(bar) => bar.value === bar.max")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    assert started.value.suggested_filename == "texts-verdicts.csv"
    started.value.save_as(tmp_path / "out.csv")
    raw = (tmp_path / "out.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == ["1", "2", "-3", "'@4", "5"]
    messages = [row["message"] for row in rows]
    assert messages[1:4] == ["'=HYPERLINK(1)", "line one\nline two", "'+1 for the second option"]
    for row, (_, text) in zip(rows[:-1], ROWS, strict=False):
        verdict = try_console.post("/v1/classify", {"text": text}).json
        assert row["category"] == verdict["category"]["code"]
        assert row["decision"] == verdict["decision"]
        assert float(row["banned_probability"]) == pytest.approx(verdict["banned_probability"], abs=2e-6)
    assert rows[-1]["error"]
    assert rows[-1]["category"] == ""


def test_formulas_are_escaped_whatever_they_begin_with(open_page: OpenPage, try_console: RunningConsole) -> None:
    """Numbers stay numbers."""
    page = open_page(f"{try_console.url}/try")
    cells = ["=1", "+a", "-a", "@a", "\ta", "\ra", "\n=1", "\uff1d1", "-1.5", "+2", "a=1", ""]
    written = page.evaluate("async (cells) => (await import('/static/try/csv.js')).textOf([cells])", cells)
    found = next(csv.reader(io.StringIO(written, newline="")))
    assert found == ["'=1", "'+a", "'-a", "'@a", "'\ta", "'\ra", "'\n=1", "'\uff1d1", "-1.5", "+2", "a=1", ""]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_separator_begins_a_cell_inside_of_a_text(
    open_page: OpenPage, try_console: RunningConsole, separator: str
) -> None:
    """A spreadsheet takes its own country's separator, whatever the file was written with."""
    page = open_page(f"{try_console.url}/try")
    cell = f"a{separator}=1"
    written = page.evaluate("async (cell) => (await import('/static/try/csv.js')).textOf([[cell]])", cell)
    assert next(csv.reader(io.StringIO(written, newline=""), delimiter=separator)) == [cell]


def test_a_late_row_that_is_wider_keeps_its_cells(
    open_page: OpenPage, try_console: RunningConsole, tmp_path: Path
) -> None:
    """What is not shown in the preview is not lost either."""
    page = open_page(f"{try_console.url}/try")
    _choose(page, ("text\n" + "hello\n" * 120 + "hello,late\n").encode())
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_have_text("121 rows classified")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    started.value.save_as(tmp_path / "out.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8-sig"))))
    assert rows[-1]["column 2"] == "late"


def test_a_long_table_can_be_stopped_and_what_is_there_downloaded(
    open_page: OpenPage, try_console: RunningConsole
) -> None:
    """Between two of its parts."""
    page = open_page(f"{try_console.url}/try")
    _choose(page, ("text\n" + "which phone should i buy\n" * 9_000).encode())
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_contain_text("of 9,000 rows")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#done")).to_contain_text("stopped after")
    expect(page.get_by_role("button", name="Download CSV")).to_be_enabled()


def test_a_part_that_was_late_is_asked_again_in_smaller_parts(open_page: OpenPage, try_console: RunningConsole) -> None:
    """Requests of the API go first, and a table of an hour must not end with their first rush."""
    page = open_page(f"{try_console.url}/try")
    sizes: list[int] = []
    late = {"error": {"message": "late", "type": "server_error", "param": None, "code": "deadline_exceeded"}}

    def answer(route: Route) -> None:
        sizes.append(len(route.request.post_data_json["texts"]))
        if len(sizes) in {2, 3}:
            route.fulfill(status=504, json=late)
        else:
            route.continue_()

    page.route("**/try/table", answer)
    _choose(page, ("text\n" + "hello\n" * 100).encode())
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_have_text("100 rows classified")
    assert sizes == [32, 32, 16, 8, 16, 32, 12]


def test_a_text_that_no_request_takes_is_one_row_refused(open_page: OpenPage, start_console: StartConsole) -> None:
    """And the rows beside it are classified, however small a request must be."""
    console = start_console(pages=PagesSettings(), max_body_bytes=1_000)
    page = open_page(f"{console.url}/try")
    _choose(page, ("text\n" + "hello\n" * 300 + "a" * 2_000 + "\n" + "hello\n" * 10).encode())
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_have_text("311 rows classified, 1 row refused")


def test_a_text_beyond_the_apis_bound_is_one_row_refused(
    open_page: OpenPage, try_console: RunningConsole, tmp_path: Path
) -> None:
    """With the API's code and words, on the page and in the file."""
    long = "a" * 2_000_001
    alone = try_console.post("/v1/classify", {"text": long})
    assert (alone.status, alone.error["code"]) == (413, "too_large")
    for texts in (["hello", long, "hello"], [long]):
        answer = try_console.post("/try/table", {"texts": texts})
        assert answer.status == 200
        for text, row in zip(texts, answer.json["rows"], strict=True):
            assert row["rejected"] == ("too_large" if text == long else None)
            assert bool(row["decision"]) == (text != long)
            assert ("CONSOLE_CODEC__MAX_EVENT_BYTES" in row["error"]) == (text == long)
    page = open_page(f"{try_console.url}/try")
    _choose(page, f"text\nhello\n{long}\nhello\n".encode())
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_have_text("3 rows classified, 1 row refused")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    started.value.save_as(tmp_path / "out.csv")
    limit = csv.field_size_limit(3_000_000)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8-sig"))))
    csv.field_size_limit(limit)
    assert [row["rejected"] for row in rows] == ["", "too_large", ""]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The file holds no row."),
        ("text\nna\u00efve".encode("latin-1"), "not in UTF-8"),
        (b"text\n" + b"a\n" * 10_001, "has 10,001 rows below its first; at most 10,000"),
        (b"text\n" + b"a," * 1_000 + b"a\n", "1,001 columns"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_words(
    open_page: OpenPage, try_console: RunningConsole, content: bytes, said: str
) -> None:
    """Before anything is asked."""
    page = open_page(f"{try_console.url}/try")
    _choose(page, content)
    expect(page.locator("#table-said")).to_contain_text(said)
    expect(page.locator("#rows")).to_be_hidden()
