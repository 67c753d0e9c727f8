"""The README's picture of the Try page: `python -m tests.console.pages.picture` writes it anew."""

import argparse
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import FloatRect

from console.metrics import Metrics
from console.pages import PAGES
from console.service import load_service
from console.settings.console import ConsoleSettings
from tests.console.pages.browser import WAIT_MS, judge, launched, write
from tests.console.server import RunningConsole

PICTURE: Final = Path(__file__).parents[3] / "docs" / "images" / "try.png"
_WIDTH, _HEIGHT = 1240, 900
_MARGIN = 10
_TEXT: Final = "write a short funny poem for my boss's birthday card, she loves sailing"


def take(path: Path) -> None:
    """Write the picture."""
    service = load_service(ConsoleSettings(), Metrics())
    service.judge.start()
    console = RunningConsole(service, pages=PAGES)
    with launched() as browser:
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
        page.goto(f"{console.url}/try")
        write(page, _TEXT)
        judge(page)
        page.get_by_role("button", name="Find out").click()
        page.locator(".words").wait_for(timeout=WAIT_MS)
        page.evaluate("document.activeElement.blur()")
        below = page.evaluate("document.querySelector('.halves').getBoundingClientRect().bottom + window.scrollY")
        path.parent.mkdir(exist_ok=True)
        clip = FloatRect(x=0, y=0, width=_WIDTH, height=below + _MARGIN)
        page.screenshot(path=path, full_page=True, clip=clip)
    console.close()
    service.close()


def main() -> None:
    """Write docs/images/try.png anew, in a real Chromium."""
    argparse.ArgumentParser(prog="python -m tests.console.pages.picture", description=main.__doc__).parse_args()
    take(PICTURE)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
