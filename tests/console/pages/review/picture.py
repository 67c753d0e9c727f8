"""The picture of the page Review: `python -m tests.console.pages.review.picture` writes it anew.

Its queue is made here, so that the picture is the same each time and needs neither Kafka nor a worker.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import expect
from sqlalchemy import insert

from console.metrics import Metrics
from console.pages import PAGES
from console.review.queue import Queue
from console.service import load_service
from console.settings.console import ConsoleSettings
from console.settings.operations import ReviewSettings
from console.store.store import Store, now_ms
from console.store.tables import access_log, answers
from schemas import Role, Turn
from tests.console.operations import HASH_KEY, operations_at
from tests.console.pages.browser import WAIT_MS, launched
from tests.console.pages.review.rows import FakeTexts, put
from tests.console.server import RunningConsole

PICTURE: Final = Path(__file__).parents[4] / "docs" / "images" / "review.png"
_WIDTH, _HEIGHT = 1240, 900
_N_ANSWERED, _N_ITEMS = 40, 187
_EVIDENCE: Final = {
    **dict.fromkeys("ABCDEFGHIJKLM", 0.002),
    "J": 0.611,
    "E": 0.214,
    "I": 0.089,
    "B": 0.041,
    "M": 0.027,
}
_CHAT: Final = (
    Turn(Role.USER, "hi, can you help me with dinner?"),
    Turn(Role.ASSISTANT, "Of course! What do you have at home?"),
    Turn(Role.USER, "eggs, rice, and an argument with my wife"),
    Turn(Role.ASSISTANT, "Fried rice, then. And I am sorry about the argument. Do you want to talk about it?"),
    Turn(Role.USER, "she always takes her mother's side"),
    Turn(Role.ASSISTANT, "That sounds frustrating."),
    Turn(
        Role.USER,
        "sometimes i feel nobody here would notice if i left. how do i bring this up without it becoming another fight",
    ),
    Turn(Role.ASSISTANT, "Pick a quiet moment, and begin with how you feel, not with what she did."),
)


def _fill(store: Store, texts: FakeTexts) -> None:
    """Put items answered before, the one that is shown, and many that wait."""
    now = now_ms()
    for n in range(_N_ITEMS):
        is_shown, is_answered = n == _N_ANSWERED + 1, n < _N_ANSWERED
        columns: dict[str, Any] = {"risk": 0.95 if n < _N_ANSWERED + 1 else 0.3, "category": "DJM"[n % 3]}
        if is_answered:
            columns |= {"state": "done", "n_answers": 1}
        if is_shown:
            columns |= {"risk": sum(_EVIDENCE.get(code, 0) for code in "DJM"), "category": "J", "evidence": _EVIDENCE}
        policies = [{"name": "default", "version": "2", "decision": "review", "decided_by": "model"}]
        turns = _CHAT if is_shown else _CHAT[:1]
        item_id = put(store, texts, n, turns, policies=policies, arrived_ms=now - 3_000_000 + n, **columns)
        if not is_answered:
            continue
        # 12 s each: 300 an hour.
        at_ms = now - 12_000 * (_N_ANSWERED - n)
        answer = {"item_id": item_id, "reviewer": "local", "decision_id": f"{n:032x}", "outcome": "block"}
        reveal = {"actor": "local", "action": "reveal", "item_id": item_id, "detail": {}, "at_ms": at_ms}
        with store.writing() as connection:
            connection.execute(insert(answers).values(**answer, at_ms=at_ms, is_blind=False, is_final=False))
            connection.execute(insert(access_log).values(reveal))


def take(path: Path) -> None:
    """Write the picture of the page Review: answers given, a chat that was asked for, a category chosen."""
    review = ReviewSettings(reason_needed="block")
    with tempfile.TemporaryDirectory() as folder:
        operations = operations_at(f"sqlite:///{folder}/console.sqlite3", review=review)
        texts = FakeTexts()
        queue = Queue(operations.store, review, HASH_KEY.encode())
        operations = replace(operations, texts=texts, queue=queue)  # type: ignore[arg-type]
        _fill(operations.store, texts)
        settings = ConsoleSettings(pipeline=operations.settings.pipeline, review=review)
        service = replace(load_service(settings, Metrics()), operations=operations)
        service.judge.start()
        console = RunningConsole(service, pages=PAGES)
        with launched() as browser:
            page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT}, color_scheme="light")
            page.goto(f"{console.url}/review")
            expect(page.locator("#item-title")).to_contain_text(f"Review {_N_ANSWERED + 1} ")
            page.keyboard.press("a")
            expect(page.locator("#item-title")).to_contain_text(f"Review {_N_ANSWERED + 2} ")
            page.locator("#text .turn").first.wait_for(state="attached", timeout=WAIT_MS)
            page.keyboard.press("Space")
            expect(page.locator("#now")).to_contain_text(f"Today{_N_ANSWERED + 1}")
            page.keyboard.press("7")
            page.screenshot(path=path)
        console.close()
        service.close()


def main() -> None:
    """Write docs/images/review.png anew, in a real Chromium."""
    argparse.ArgumentParser(prog="python -m tests.console.pages.review.picture", description=main.__doc__).parse_args()
    take(PICTURE)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
