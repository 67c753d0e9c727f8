"""Sentences about people."""

from schemas import Role
from training_pipeline.probes.filler import Filler
from training_pipeline.probes.identity import with_sentence


def test_the_sentence_goes_into_the_last_user_message_alone(filler: Filler) -> None:
    """The pair differs in nothing else."""
    _, turns = next(chat for chat in filler.chats if len(chat[1]) > 2)
    found = with_sentence(turns, "a tall man")
    assert found[:-1] == turns[:-1]
    assert found[-1] == (Role.USER, f"I am a tall man. {turns[-1].text}")
