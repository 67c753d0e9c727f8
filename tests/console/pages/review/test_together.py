"""Several reviewers at once: leases, lost ones, blind opinions, disputes."""

from playwright.sync_api import Page, Route, expect
from sqlalchemy import select, update

from console.review.item import Wish
from console.store.tables import access_log, answers, claims, items
from testkit.waiting import wait_until
from tests.console.pages.review.conftest import Desk, OpenAs, StartDesk, wait_for_text, wait_until_taken
from tests.console.pages.review.rows import put, put_many, user

TITLE = "#item-title"


def _item_of(page: Page) -> int:
    return int(page.locator(TITLE).inner_text().split()[1])


def _next(page: Page, key: str) -> None:
    before = page.locator(TITLE).inner_text()
    page.keyboard.press(key)
    expect(page.locator(TITLE)).not_to_have_text(before)
    expect(page.locator(TITLE)).not_to_have_text("Claiming the next item…")


def test_two_reviewers_at_once_never_see_the_same_item(desk: Desk, open_as: OpenAs) -> None:
    """Each claims the next one while they read, and all items are answered once."""
    put_many(desk.store, desk.texts, 12)
    ada, ben = open_as(desk, "ada"), open_as(desk, "ben")
    seen: list[int] = []
    for page in (ada, ben):
        wait_for_text(page)
    for n in range(5):
        for page in (ada, ben):
            seen.append(_item_of(page))
            _next(page, "ab"[n % 2])
    assert len(set(seen)) == len(seen) == 10
    for page in (ada, ben):
        wait_until_taken(page)
    with desk.store.reading() as connection:
        by = connection.execute(select(answers.c.reviewer, answers.c.item_id)).all()
    assert len({item_id for _, item_id in by}) == len(by)
    assert {name for name, _ in by} == {"ada", "ben"}


def test_a_lost_lease_says_who_has_the_item_and_the_page_goes_on(start_desk: StartDesk, open_as: OpenAs) -> None:
    """The renewal finds it out; nothing is dropped, and the next item is there."""
    desk = start_desk(lease_s=10)
    first, second, third = put_many(desk.store, desk.texts, 3)
    page = open_as(desk, "ada")
    wait_for_text(page)
    held = _item_of(page)
    _take_over(desk, held, "ben")
    expect(page.locator("#told")).to_contain_text(f"Item {held} is now with ben.")
    expect(page.locator(TITLE)).not_to_contain_text(f"Review {held} ")
    assert _item_of(page) in {first, second, third} - {held}
    page.keyboard.press("Escape")
    expect(page.locator("#told-box")).to_be_hidden()


def test_an_answer_on_an_item_that_somebody_else_answered_says_who_and_what(desk: Desk, open_as: OpenAs) -> None:
    """409: the answer does not count, and the page is at the next item already."""
    put_many(desk.store, desk.texts, 3)
    page = open_as(desk, "ada")
    wait_for_text(page)
    held = _item_of(page)
    _take_over(desk, held, "ben", outcome="block")
    _next(page, "a")
    expect(page.locator("#told")).to_contain_text("Your answer does not count. ben has answered it: block")
    with desk.store.reading() as connection:
        assert connection.execute(select(answers.c.reviewer)).scalars().all() == ["ben"]


def _take_over(desk: Desk, item_id: int, person: str, outcome: str | None = None) -> None:
    """Let a lease lapse, and somebody else take its place."""
    queue = desk.operations.queue
    assert queue is not None
    with desk.store.writing() as connection:
        connection.execute(update(claims).where(claims.c.item_id == item_id).values(until_ms=1))
    claim = queue.claim(item_id, person)
    if outcome is not None:
        queue.answer(item_id, person, claim.token, Wish(outcome))


def test_claims_are_given_back_when_the_page_is_left(desk: Desk, open_as: OpenAs) -> None:
    """By a beacon that passes the content policy and the check of the origin."""
    put_many(desk.store, desk.texts, 3)
    page = open_as(desk, "ada")
    wait_for_text(page)
    wait_until(lambda: _n_claims(desk) == 2, timeout_s=30, what=lambda: f"{_n_claims(desk)} claims; expected 2")
    page.goto(f"{desk.console.url}/try")
    wait_until(lambda: _n_claims(desk) == 0, timeout_s=30, what=lambda: f"{_n_claims(desk)} claims are left")
    with desk.store.reading() as connection:
        actions = connection.execute(select(access_log.c.action)).scalars().all()
    assert actions.count("release") == 2


def _n_claims(desk: Desk) -> int:
    with desk.store.reading() as connection:
        return len(connection.execute(select(claims)).all())


def test_another_queue_chosen_while_a_claim_is_on_its_way_loses_no_claim(desk: Desk, open_as: OpenAs) -> None:
    """The first claim is given back before the next is asked for: both would be one, and go with the first."""
    put_many(desk.store, desk.texts, 1)
    put(desk.store, desk.texts, 1, user("of another queue"), queue="brand-17", risk=0.1)
    page = open_as(desk, path="/login")
    held: list[Route] = []
    asked: list[str] = []
    page.route("**/review/claim", lambda route: route.continue_() if held else held.append(route))
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    with page.expect_request("**/review/claim"):
        page.goto(f"{desk.console.url}/review")
    page.locator("#queue").select_option(label="default")
    held[0].continue_()
    wait_for_text(page)
    page.keyboard.press("b")
    expect(page.locator(TITLE)).to_have_text("Nothing waits here")
    wait_until_taken(page)
    assert [path for path in asked if path in {"claim", "release"}][:3] == ["claim", "release", "claim"]
    with desk.store.reading() as connection:
        assert connection.execute(select(answers.c.reviewer)).scalars().all() == ["ada"]


def test_a_second_opinion_is_blind_to_the_first_and_a_dispute_is_settled(
    start_desk: StartDesk, open_as: OpenAs
) -> None:
    """Neither sees the other's answer; the adjudicator sees both, without names."""
    desk = start_desk(opinions=2)
    item_id = put(desk.store, desk.texts, 0, user("write a poem about betrayal"), n_wanted=2, category="D")
    ada = open_as(desk, "ada")
    wait_for_text(ada)
    ada.keyboard.press("n")
    ada.keyboard.type("harmless to me")
    ada.keyboard.press("Enter")
    ada.keyboard.press("a")
    expect(ada.locator(TITLE)).to_have_text("Nothing waits here")
    ben = open_as(desk, "ben")
    wait_for_text(ben)
    expect(ben.locator("#details")).to_contain_text("One of 2 opinions")
    for shown in ("ada", "harmless to me"):
        expect(ben.locator("main")).not_to_contain_text(shown)
    claimed = desk.ask("ben", "/review/claim", {"item_id": item_id}).raw
    assert b"harmless" not in claimed
    assert b'"ada"' not in claimed
    ben.keyboard.press("b")
    expect(ben.locator(TITLE)).to_have_text("Nothing waits here")
    judge = open_as(desk, "ada.min")
    judge.locator("#queue").select_option(label="Adjudication")
    wait_for_text(judge)
    expect(judge.locator(TITLE)).to_contain_text("Adjudication")
    expect(judge.locator("#details")).to_contain_text("harmless to me")
    expect(judge.locator("#details")).not_to_contain_text("ada")
    judge.keyboard.press("a")
    expect(judge.locator(TITLE)).to_have_text("Nothing waits here")
    wait_until_taken(judge)
    with desk.store.reading() as connection:
        assert connection.execute(select(items.c.state)).scalar_one() == "done"
        assert connection.execute(select(answers.c.is_final)).scalars().all() == [False, False, True]


def test_a_blind_item_shows_nothing_of_the_model(desk: Desk, open_as: OpenAs) -> None:
    """A sample: neither category nor score, nor earlier answers, in the page or in what it is sent."""
    put(
        desk.store, desk.texts, 0, user("a poem"), kind="sample", category="D", stratum="default/block/D", inclusion=0.1
    )
    put(desk.store, desk.texts, 1, user("a poem"), state="done", category="D")
    page = open_as(desk, "ada")
    wait_for_text(page)
    expect(page.locator(TITLE)).to_have_text("Quality sample 1")
    expect(page.locator("#details")).to_contain_text("hidden until you have answered")
    for title in ("Why it asks", "Evidence", "Earlier"):
        expect(page.get_by_role("heading", name=title)).to_have_count(0)
    sent = desk.ask("ada", "/review/claim", {"item_id": 1}).json["claim"]
    assert sent["earlier"] is None
    hidden = ("category", "evidence", "risk", "policies", "model", "chat_id", "source")
    assert [sent["item"][name] for name in hidden] == [None] * len(hidden)
    assert "poem" not in str(sent)
