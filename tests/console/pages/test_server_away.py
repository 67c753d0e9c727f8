"""The server killed while a page is open, and started again."""

from playwright.sync_api import expect

from tests.console.conftest import Start
from tests.console.pages.browser import judge, write
from tests.console.pages.conftest import OpenPage

N_ROWS = 800


def test_the_page_says_so_and_goes_on_by_itself(open_page: OpenPage, start: Start) -> None:
    """The text that was typed stays, and its verdict comes once somebody answers."""
    first = start()
    port = first.port()
    address = f"http://127.0.0.1:{port}/try"
    assert first.printed().splitlines()[-1] == f"page to try it: {address}"
    page = open_page(address)
    write(page, "hello")
    judge(page)
    first.running.kill()
    first.running.wait()
    write(page, "which phone should i buy for under 300 euros")
    page.get_by_role("button", name="Judge").click()
    banner = page.get_by_role("alert").filter(has_text="The server does not answer")
    expect(banner).to_be_visible()
    second = start("--port", str(port))
    second.port()
    expect(banner).to_be_hidden()
    expect(page.locator(".category code")).to_have_text("H")
    # A table goes on where it was.
    rows = "text\n" + "".join(f"which phone should i buy for under {i} euros\n" for i in range(N_ROWS))
    page.set_input_files("#file", {"name": "t.csv", "mimeType": "text/csv", "buffer": rows.encode()})
    page.get_by_role("button", name="Classify").click()
    expect(page.locator("#done")).to_contain_text(f"of {N_ROWS} rows")
    second.running.kill()
    second.running.wait()
    expect(banner).to_be_visible()
    start("--port", str(port)).port()
    expect(page.locator("#done")).to_have_text(f"{N_ROWS} rows classified")
