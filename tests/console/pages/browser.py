"""The Chromium that the pages are tested in."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

WAIT_MS = 60_000
"""For what a loaded machine needs seconds for; nothing waits this long that is not broken."""


def chromium() -> str:
    """Return where Chromium is.

    Raises:
        FileNotFoundError: there is none.
    """
    name = os.environ.get("CHROMIUM", "chromium")
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(
            f"{name}: no such program; expected Chromium; run `make setup-browser`, or name one: CHROMIUM=/path/to/it"
        )
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        # Its sandbox refuses to run as root, as tests in a container do; it opens this project's own pages only.
        browser = playwright.chromium.launch(executable_path=chromium(), chromium_sandbox=False)
        yield browser
        browser.close()


def write(page: Page, text: str, message: int = 0) -> None:
    """Put a text into a message of the Try page."""
    page.get_by_label("Text of the message").nth(message).fill(text)


def judge(page: Page) -> None:
    """Ask for a verdict and wait for it."""
    page.get_by_role("button", name="Judge").click()
    page.locator("#verdict-panel[aria-busy=false] .decision").wait_for(timeout=WAIT_MS)


def paste(page: Page, text: str) -> None:
    """Paste into the first message, as from a clipboard."""
    page.get_by_label("Text of the message").first.evaluate(
        """(field, text) => {
            const data = new DataTransfer();
            data.setData("text/plain", text);
            field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        text,
    )
