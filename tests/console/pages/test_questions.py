"""What the page asks, over plain HTTP: bundles, bounds, bad input."""

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from console.judging.judge import Judge
from console.judging.request import Answer
from console.metrics import Metrics
from console.pages.try_it.influence import MAX_PARTS, messages_of, words_of
from console.pages.try_it.reading import reading_of
from console.settings.console import PagesSettings, QueueSettings
from model import DEFAULT_BUNDLE_PATH, Classification, ClassifyStats, load_bundle
from model.tokenization import ConversationTokenizer
from schemas import Role, Turn, shipped_taxonomy
from tests.bundles import registry_of_two, serve
from tests.console.conftest import StartConsole
from tests.console.gated_classifier import GatedClassifier
from tests.console.server import RunningConsole
from tests.tiny_bundle import tiny_bundle

HELLO = [{"role": "user", "content": "hello"}]


def _names(console: RunningConsole) -> list[str]:
    names: list[str] = console.ask("GET", "/try/bundles").json["names"]
    return names


def test_a_registry_offers_what_it_serves_and_has_served(start_console: StartConsole, tmp_path: Path) -> None:
    """A bundle that was promoted later is there without a restart; a folder that never was is not."""
    registry_of_two(DEFAULT_BUNDLE_PATH, tmp_path / "registry")
    console = start_console(pages=PagesSettings(bundles=str(tmp_path / "registry")))
    assert _names(console) == ["served", "m/1", "cat-and-dog"]
    assert console.post("/try/bundle", {"bundle": "m/1"}).json["model"]["version"] == "1.0"
    serve(tmp_path / "registry", "m/2")
    assert _names(console) == ["served", "m/2", "cat-and-dog"]


def test_a_bundle_that_is_not_the_promoted_one_is_refused(start_console: StartConsole, tmp_path: Path) -> None:
    """Its folder was swapped under its name."""
    registry = tmp_path / "registry"
    registry_of_two(DEFAULT_BUNDLE_PATH, registry)
    (registry / "m" / "1").rename(registry / "m" / "3")
    (registry / "m" / "2").rename(registry / "m" / "1")
    console = start_console(pages=PagesSettings(bundles=str(registry)))
    answer = console.post("/try/bundle", {"bundle": "m/1"})
    assert (answer.status, answer.error["code"]) == (422, "bundle_refused")


def test_a_bundle_that_made_room_answers_again(start_console: StartConsole, tmp_path: Path) -> None:
    """That it did make room is in test_shelf.py."""
    folders = [tiny_bundle(tmp_path / f"b{i}", shipped_taxonomy("toxicity")) for i in range(3)]
    console = start_console(pages=PagesSettings(bundles=",".join(map(str, folders)), max_bundles=1))
    for name in ("b0", "b1", "b2", "b0"):
        verdict = console.post("/try/judge", {"bundle": name, "messages": HELLO}).json["verdict"]
        assert verdict["taxonomy"]["name"] == "toxicity"


def test_two_bundles_of_one_name_are_told_apart(start_console: StartConsole, tmp_path: Path) -> None:
    """By a number."""
    folders = [tiny_bundle(tmp_path / part / "b", shipped_taxonomy("toxicity")) for part in ("x", "y")]
    console = start_console(pages=PagesSettings(bundles=",".join(map(str, folders))))
    assert _names(console) == ["served", "b", "b (2)", "cat-and-dog"]


def test_a_missing_bundle_is_refused_and_the_others_answer(start_console: StartConsole, tmp_path: Path) -> None:
    """A path of the settings that is gone takes nothing else with it."""
    console = start_console(pages=PagesSettings(bundles=f"{tmp_path}/gone,{tmp_path}/gone.toml"))
    assert _names(console) == ["served", "gone", "gone (2)", "cat-and-dog"]
    for name in ("gone", "gone (2)"):
        answer = console.post("/try/judge", {"bundle": name, "messages": HELLO})
        assert (answer.status, answer.error["code"]) == (422, "bundle_refused")
    assert console.post("/try/judge", {"bundle": "../etc", "messages": HELLO}).status == 404
    assert console.post("/try/judge", {"bundle": "served", "messages": HELLO}).status == 200


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        ("/try/judge", {}, 400),
        ("/try/judge", {"messages": []}, 400),
        ("/try/judge", {"messages": "hello"}, 400),
        ("/try/judge", {"messages": [{"role": "pirate", "content": "x"}]}, 400),
        ("/try/judge", {"messages": [{"role": "user", "content": "\u200b"}]}, 400),
        ("/try/judge", {"messages": HELLO, "bundle": 7}, 400),
        ("/try/judge", b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        ("/try/judge", {"messages": [{"role": "user", "content": "x" * 2_100_000}]}, 413),
        ("/try/judge", {"messages": [{"role": "user", "content": "x" * 9_000_000}]}, 413),
        ("/try/influence", {"messages": HELLO, "message": 1}, 400),
        ("/try/influence", {"messages": HELLO, "message": -1}, 400),
        ("/try/influence", {"messages": HELLO, "message": True}, 400),
        ("/try/table", {"texts": []}, 400),
        ("/try/table", {"texts": ["x"] * 65}, 400),
        ("/try/table", {"texts": "x"}, 400),
        ("/try/table", b"[]", 400),
        ("/try/bundle", {"bundle": "none"}, 404),
    ],
)
def test_bad_input_is_refused_in_words(try_console: RunningConsole, path: str, document: object, status: int) -> None:
    """Never a 500."""
    answer = try_console.post(path, document)
    assert answer.status == status, answer.raw
    assert answer.error["message"]


def test_a_row_of_a_table_that_cannot_be_judged_takes_no_other_with_it(try_console: RunningConsole) -> None:
    """It says why."""
    rows = try_console.post("/try/table", {"texts": ["hello", "", 7, "which phone to buy"]}).json["rows"]
    assert [bool(row["error"]) for row in rows] == [False, True, True, False]
    assert [row["category"] for row in rows] == ["I", "", "", "H"]


def test_too_many_messages_name_the_setting_of_the_console(try_console: RunningConsole) -> None:
    """On the page and in the API."""
    messages = HELLO * 10_001
    for path in ("/try/judge", "/v1/classify"):
        answer = try_console.post(path, {"chat_id": "c", "messages": messages})
        assert (answer.status, answer.error["code"]) == (413, "too_large")
        assert "(CONSOLE_CODEC__MAX_MESSAGES)" in answer.error["message"]


class _SoonStuck(GatedClassifier):
    """Answers the first calls at once, and the others when it is let."""

    def classify(self, conversations: Sequence[Sequence[Turn]]) -> tuple[list[Answer], ClassifyStats]:
        """Answer for all of the text and for the first eight words."""
        return super().classify(conversations) if len(self.batches) >= 3 else self._at_once(conversations)

    def _at_once(self, conversations: Sequence[Sequence[Turn]]) -> tuple[list[Answer], ClassifyStats]:
        self.batches.append([turns[-1].text for turns in conversations])
        return [self._answer for _ in conversations], ClassifyStats()


def test_what_is_known_by_the_deadline_is_answered(start_console: StartConsole, classification: Classification) -> None:
    """Words that were not asked about are told apart from words that move nothing."""
    stuck = _SoonStuck(classification)
    queue = QueueSettings(deadline_s=2)
    judge = Judge(stuck, queue, Metrics())
    judge.start()
    console = start_console(pages=PagesSettings(), queue=queue, judge=judge)
    question = {"messages": [{"role": "user", "content": "word " * 20}], "message": 0}
    found = console.post("/try/influence", question).json
    stuck.open()
    judge.close()
    assert not found["is_complete"]
    assert [part["category_drop"] for part in found["parts"]] == [0.0] * 8 + [None] * 12


def test_every_word_is_asked_about_where_there_is_time(try_console: RunningConsole) -> None:
    """What would leave nothing to judge is not asked about."""
    console = try_console
    question = {"messages": [{"role": "user", "content": "write a poem about the sea"}], "message": 0}
    whole = console.post("/try/influence", question).json
    assert whole["is_complete"]
    assert "".join(part["text"] for part in whole["parts"]) == "write a poem about the sea"
    only = console.post("/try/influence", {"messages": HELLO, "message": 0}).json
    assert only["parts"] == [{"message": 0, "text": "hello", "category_drop": None, "banned_drop": None}]
    assert only["is_complete"]


@pytest.mark.parametrize(
    "text", ["one", "two words ", "  a\n b ", "x" * 100_000, "word " * 20_000, "你好世界" * 50, "a你b", "\u200b a"]
)
def test_parts_are_few_and_together_the_whole(text: str) -> None:
    """However long the text is; without a part the rest stands there."""
    turns = [Turn(Role.USER, "before"), Turn(Role.USER, text)]
    parts = words_of(turns, 1)
    assert len(parts) <= MAX_PARTS
    assert "".join(part.text for part in parts) == text
    for part in parts:
        assert len(part.left) in {1, 2}
        assert part.left[0] == turns[0]


def test_of_many_messages_the_newest_are_asked_about() -> None:
    """Forty questions at most."""
    turns = [Turn(Role.USER, f"message {i}") for i in range(100)]
    parts = messages_of(turns)
    assert [part.message for part in parts] == list(range(60, 100))
    assert all(len(part.left) == 99 for part in parts)


def test_what_is_read_adds_up() -> None:
    """An old message of the assistant stands nowhere; the users' texts stand in pieces as far as the rule goes."""
    bundle = load_bundle(DEFAULT_BUNDLE_PATH)
    tokenizer = ConversationTokenizer(bundle.tokenizer_json, max_tokens=bundle.manifest.windowing.max_tokens)
    turns = [Turn(Role.USER, "u" * 30_000), *[Turn(Role.ASSISTANT, "an answer")] * 10, Turn(Role.USER, "thanks a lot")]
    reading = reading_of(turns, bundle, tokenizer)
    assert [message.n_read for message in reading.messages[1:6]] == [0, 0, 0, 0, 0]
    assert reading.messages[-1].n_read == len("thanks a lot")
    assert reading.messages[0].n_pieces == 20_000 - len("thanks a lot")
    assert reading.n_not_read == sum(m.n_characters - m.n_read for m in reading.messages)
    assert len(orjson.dumps(reading.model_dump())) < 60_000
