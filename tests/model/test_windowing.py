"""The window of a conversation: bounded whatever comes in, and it keeps what decides the category."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.windowing import Span, Windowing, normalise, render
from schemas import RESULTS_OF_TOOLS, Role, Turn

WINDOWING = Windowing()
ROLES = st.sampled_from(list(Role))
TEXTS = st.text(st.characters(exclude_categories=[]), max_size=1_500)  # lone surrogates too
CONVERSATIONS = st.lists(st.builds(Turn, ROLES, TEXTS), max_size=12)
MARKERS = {role: role.value for role in (Role.USER, Role.ASSISTANT, Role.SYSTEM)} | {
    Role.DEVELOPER: "system",
    Role.TOOL: "assistant",
    Role.FUNCTION: "assistant",
}
LONG_TEXTS = st.builds(
    lambda parts, n: "".join(parts) * n,
    st.lists(
        st.sampled_from(["a", " ", "\n", "é", "か\u3099", "\u200b", "\u0301", "\ufdfa", "\u00b4", "漢"]),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 1_500),
)


def user(text: str) -> Turn:
    """Return a user turn."""
    return Turn(Role.USER, text)


def rendered(text: str) -> str:
    """Return how one user message is read, without its role mark."""
    return render([user(text)], WINDOWING).removeprefix("user: ")


@given(turns=CONVERSATIONS)
def test_the_window_is_never_longer_than_it_promises(turns: list[Turn]) -> None:
    """The bound on characters is what keeps one hostile chat from holding up its batch."""
    assert len(render(turns, WINDOWING)) <= WINDOWING.max_rendered_characters


@given(turns=CONVERSATIONS)
def test_the_window_can_always_be_encoded(turns: list[Turn]) -> None:
    """F28: a lone surrogate makes a tokenizer raise TypeError for the whole batch."""
    render(turns, WINDOWING).encode()


@given(turns=CONVERSATIONS)
def test_every_line_is_one_message_with_its_role(turns: list[Turn]) -> None:
    """Nobody can write a line that reads as another role's: line breaks inside a message are folded."""
    lines = render(turns, WINDOWING).split("\n") if turns else []
    markers = [line.split(":")[0] for line in lines]
    assert len(markers) == min(len(turns), WINDOWING.max_messages)
    if not any(turn.role in RESULTS_OF_TOOLS for turn in turns):
        assert markers == [MARKERS[turn.role] for turn in turns[-WINDOWING.max_messages :]]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 1_000_000, id="one word"),
        pytest.param("a" + "\u0301" * 1_000_000, id="one combining mark"),
        pytest.param("a" + "\u0301\u0316" * 500_000, id="combining marks out of order"),
        pytest.param("\u0345" * 300_000 + "\u0301" * 300_000 + "\u0316" * 400_000, id="marks in falling order"),
        pytest.param("\u200b" * 1_000_000, id="zero width"),
        pytest.param("\ufdfa" * 1_000_000, id="18 characters each when normalised"),
        pytest.param("\ud800" * 1_000_000, id="lone surrogates"),
        pytest.param("word " * 200_000, id="words"),
        pytest.param(" \n" * 500_000, id="white space"),
    ],
)
@pytest.mark.timeout(60)
def test_a_megabyte_of_anything_is_cut_without_being_read(text: str) -> None:
    """F29: putting 100,000 combining marks in order takes half a minute; the neighbours must not wait for it."""
    started = time.thread_time()
    window = render([user(text)] * 6, WINDOWING)
    assert len(window) <= WINDOWING.max_rendered_characters
    # Work, not waiting: far above what linear time takes, far below what quadratic time takes.
    assert time.thread_time() - started < 20


def test_the_last_messages_are_kept_and_the_latest_user_message_gets_the_most_room() -> None:
    """The latest user turn decides the category; what came long before it hardly does."""
    turns = [Turn(Role.USER if i % 2 else Role.ASSISTANT, f"m{i} " + "w" * 2_000 + f" e{i}") for i in range(10)]
    lines = render(turns, WINDOWING).split("\n")
    assert [line.split()[1] for line in lines] == ["m4", "m5", "m6", "m7", "m8", "m9"]
    spans = {"user": WINDOWING.user, "assistant": WINDOWING.other}
    for line in lines[:-1]:
        span = spans[line.split(":")[0]]
        assert len(line.partition(": ")[2]) == span.head + span.tail + len(" … ")
    assert len(lines[-1]) == len("user: ") + WINDOWING.last_user.head + WINDOWING.last_user.tail + len(" … ")


def test_a_long_message_keeps_its_head_and_its_tail() -> None:
    """A request often stands before or after a long pasted text."""
    text = rendered("Please judge this: " + "filler " * 1_000 + "what do you think?")
    assert text.startswith("Please judge this: ")
    assert text.endswith("what do you think?")
    assert " … " in text


def test_a_message_that_fits_is_kept_whole() -> None:
    """Cutting what fits would only lose text."""
    text = "y" * (WINDOWING.last_user.head + WINDOWING.last_user.tail)
    assert rendered(text) == text


def test_a_tail_of_no_characters_keeps_the_head_only() -> None:
    """A slice of the last 0 characters would be the whole message."""
    window = Windowing(last_user=Span(head=5, tail=0))
    assert render([user("abcdefghijk")], window) == "user: abcde … "


@pytest.mark.parametrize(
    "hidden",
    [
        "b\u200bomb",
        "bo\u00admb",
        "b\u2060om\ufeffb",
        "b\u202eomb",
        "\ufe0fbomb",
        "bo\u3164mb",
        "bom\uffa0b",
        "b\ud800omb",
    ],
)
def test_invisible_characters_do_not_split_a_word(hidden: str) -> None:
    """Evasion: a reader sees the word, so must the classifier."""
    assert rendered(hidden) == "bomb"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\uff42\uff4f\uff4d\uff42", "bomb"),
        ("\U0001d41b\U0001d428\U0001d426\U0001d41b", "bomb"),
        ("\ufb01le", "file"),
        ("cafe\u0301", "café"),
        ("a\u00a0 \t\nb", "a b"),
    ],
)
def test_compatibility_forms_and_white_space_are_folded(written: str, read: str) -> None:
    """Full-width and mathematical letters are the cheapest way round a word list."""
    assert rendered(written) == read


@given(text=st.text(max_size=250))
def test_text_of_ordinary_length_is_normalised_as_a_whole(text: str) -> None:
    """Normalising in pieces must not change what any real word reads as."""
    visible = "".join(text.split())
    if len(visible) <= 200 and not any(unicodedata.category(c) in {"Cf", "Mn", "Lo", "Cn"} for c in text):
        assert rendered(text) == " ".join(unicodedata.normalize("NFKC", text).split())


@given(text=LONG_TEXTS, head=st.integers(1, 30), tail=st.integers(0, 30))
def test_a_long_text_reads_as_if_all_of_it_were_normalised(text: str, head: int, tail: int) -> None:
    """Only its ends are, since one character may become 18; a bundle was trained on what whole texts read as."""
    whole = normalise(text)
    expected = whole
    if len(whole) > head + tail:
        expected = f"{whole[:head]} … {whole[len(whole) - tail :]}"
    assert render([user(text)], Windowing(last_user=Span(head=head, tail=tail))) == f"user: {expected}"


def test_roles_that_no_bundle_was_trained_on_read_as_ones_it_knows() -> None:
    """An unknown marker would be a word that the model has never seen at the beginning of a line."""
    turns = [Turn(role, "x") for role in (Role.DEVELOPER, Role.USER, Role.TOOL, Role.FUNCTION)]
    assert render(turns, WINDOWING) == "system: x\nuser: x\nassistant: x\nassistant: x"


@given(turns=CONVERSATIONS)
def test_results_of_tools_push_no_message_out_of_the_window(turns: list[Turn]) -> None:
    """An agent calls many tools; the user's question must stay in sight, and so must what no tool said."""
    lines = render(turns, WINDOWING).split("\n") if turns else []
    others = [turn for turn in turns if turn.role not in RESULTS_OF_TOOLS]
    left = iter(lines)
    # In order, and other lines may stand between them.
    assert all(line in left for line in (render(others, WINDOWING).split("\n") if others else []))


def test_the_newest_results_of_tools_take_the_places_that_are_left() -> None:
    """They are context of the answer that follows them."""
    turns = [user("u"), *(Turn(Role.TOOL, f"t{i}") for i in range(9)), Turn(Role.ASSISTANT, "a")]
    shown = [line.split(": ")[1] for line in render(turns, WINDOWING).split("\n")]
    assert shown == ["u", "t5", "t6", "t7", "t8", "a"]


def test_no_turns_render_to_nothing() -> None:
    """Only an empty list gives an empty text."""
    assert render([], WINDOWING) == ""


def _continued(n_times: int) -> list[Turn]:
    turns = [Turn(Role.USER, "Tell me a long tale about the harbour of an old town"), Turn(Role.ASSISTANT, "Once.")]
    turns += [Turn(Role.USER, "Now one about the lighthouse keeper and his three cats"), Turn(Role.ASSISTANT, "Twice.")]
    for _ in range(n_times):
        turns += [Turn(Role.USER, "continue"), Turn(Role.ASSISTANT, "And so on.")]
    return turns


def test_a_request_stays_in_the_window_while_the_user_says_continue() -> None:
    """What is wanted was said before the last six messages."""
    windowing = Windowing(keeps_request=True)
    lines = render(_continued(5), windowing).splitlines()
    assert lines[0] == "user: Tell me a long tale about the harbour of an old town"
    assert lines[1] == "user: Now one about the lighthouse keeper and his three cats"
    assert lines[2:] == ["user: continue", "assistant: And so on."] * 3
    assert "lighthouse" not in render(_continued(5), Windowing())


def test_the_request_has_the_room_of_the_last_message() -> None:
    """And what only asks for more keeps its own, which it does not fill."""
    long = Turn(Role.USER, "word " * 100)
    turns = [long, Turn(Role.ASSISTANT, "Yes."), Turn(Role.USER, "go on")]
    assert len(render(turns, Windowing(keeps_request=True))) > len(render(turns, Windowing()))


@pytest.mark.parametrize("text", ["hi", "\u7ee7\u7eed", "?"])
def test_chats_without_any_content_are_rendered_as_before(text: str) -> None:
    """And so are those whose last message has some."""
    turns = [Turn(Role.USER, text), Turn(Role.ASSISTANT, "Yes?"), Turn(Role.USER, text)]
    assert render(turns, Windowing(keeps_request=True)) == render(turns, Windowing())
    turns = _continued(0)[:3]
    assert render(turns, Windowing(keeps_request=True)) == render(turns, Windowing())


def test_a_kept_request_keeps_to_the_bound() -> None:
    """Two more messages than the window holds, at most."""
    windowing = Windowing(keeps_request=True)
    turns = [Turn(Role.USER, "w" * 5_000), Turn(Role.USER, "v" * 5_000), *[Turn(Role.USER, "ok")] * 9]
    assert len(render(turns, windowing)) <= windowing.max_rendered_characters
    assert len(render(turns, windowing).splitlines()) == 8


def test_roles_are_left_out_where_the_bundle_says_so() -> None:
    """A sentence encoder was pretrained on bare texts."""
    turns = [Turn(Role.USER, "my cat"), Turn(Role.ASSISTANT, "A cat!")]
    assert render(turns, Windowing(marks_roles=False)) == "my cat\nA cat!"
    assert render(turns, Windowing()) == "user: my cat\nassistant: A cat!"
