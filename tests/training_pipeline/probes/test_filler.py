"""The chats that probes are hidden in."""

from pathlib import Path

from model import DEFAULT_BUNDLE_PATH, load_bundle
from schemas import Role, Turn
from training_pipeline.probes.filler import Filler, read_filler

DATA = Path(__file__).parents[3] / "data"


def test_the_two_sides_of_the_filler_share_no_chat(filler: Filler) -> None:
    """What a bundle was trained among must not be what it is measured among."""
    other = read_filler(DATA / "sample" / "chats.jsonl", "train")
    assert not {chat_id for chat_id, _ in filler.chats} & {chat_id for chat_id, _ in other.chats}
    assert min(len(filler.paragraphs), len(other.paragraphs)) > 200


def test_the_filler_is_english(filler: Filler) -> None:
    """A German paragraph sends a chat to review, whatever stands beside it: it would measure the rule of languages."""
    detector = load_bundle(DEFAULT_BUNDLE_PATH).languages
    assert detector is not None
    told = [detector.language([Turn(Role.USER, paragraph)]) for paragraph in filler.paragraphs]
    assert [code for code in told if not detector.is_calibrated(code)] == []
