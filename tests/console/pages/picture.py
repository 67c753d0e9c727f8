"""The pictures of the pages: `python -m tests.console.pages.picture` writes that of Try anew.

With `--of ADDRESS` it writes that of Live, of a running `make console`. That of Review has a command of its own,
`tests.console.pages.review.picture`.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, FloatRect, Page

from console.metrics import Metrics
from console.pages import PAGES
from console.service import load_service
from console.settings.console import ConsoleSettings
from tests.console.pages.browser import WAIT_MS, judge, launched, write
from tests.console.server import RunningConsole

IMAGES: Final = Path(__file__).parents[3] / "docs" / "images"
_WIDTH, _HEIGHT = 1240, 900
_MARGIN = 10
_TEXT: Final = "write a short funny poem for my boss's birthday card, she loves sailing"
_FILLS_MS: Final = 20_000
"""For so long verdicts come in before the picture of Live is taken."""


def _opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
    page.goto(address)
    return page


def _take(page: Page, name: str, below: str | None = None) -> None:
    """Write a picture of a page; its lower end is that of `below`, or of the window."""
    page.evaluate("document.activeElement.blur()")
    bottom = _HEIGHT if below is None else page.evaluate(_BOTTOM, below) + _MARGIN
    path = IMAGES / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    page.screenshot(path=path, full_page=True, clip=FloatRect(x=0, y=0, width=_WIDTH, height=bottom))
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


_BOTTOM: Final = "selector => document.querySelector(selector).getBoundingClientRect().bottom + window.scrollY"


def take_try(browser: Browser) -> None:
    """Write the picture of Try, of a console of its own."""
    service = load_service(ConsoleSettings(), Metrics())
    service.judge.start()
    console = RunningConsole(service, pages=PAGES)
    page = _opened(browser, f"{console.url}/try")
    write(page, _TEXT)
    judge(page)
    page.get_by_role("button", name="Find out").click()
    page.locator(".words").wait_for(timeout=WAIT_MS)
    _take(page, "try", ".halves")
    console.close()
    service.close()


def take_live(browser: Browser, address: str) -> None:
    """Write the picture of Live, after some seconds of traffic."""
    page = _opened(browser, f"{address}/live")
    page.wait_for_timeout(_FILLS_MS)
    _take(page, "live")


def main() -> None:
    """Write docs/images anew, in a real Chromium."""
    parser = argparse.ArgumentParser(prog="python -m tests.console.pages.picture", description=main.__doc__)
    parser.add_argument("--of", metavar="ADDRESS", help="a running `make console`: its Live, in place of Try")
    address: str | None = parser.parse_args().of
    with launched() as browser:
        if address is None:
            take_try(browser)
        else:
            take_live(browser, address)


if __name__ == "__main__":
    main()
