"""The chats that probes are hidden in."""

from pathlib import Path

from training_pipeline.probes.filler import Filler, read_filler

DATA = Path(__file__).parents[3] / "data"


def test_the_two_sides_of_the_filler_share_no_chat(filler: Filler) -> None:
    """What a bundle was trained among must not be what it is measured among."""
    other = read_filler(DATA / "sample" / "chats.jsonl", "train")
    assert not {chat_id for chat_id, _ in filler.chats} & {chat_id for chat_id, _ in other.chats}
    assert min(len(filler.paragraphs), len(other.paragraphs)) > 200
