"""Credentials that stand in an address are hidden, and nothing else is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.process.masking import masked

PASSWORDS = st.text(st.characters(blacklist_categories=["Cs", "Z", "C"], blacklist_characters="\"'<>"), min_size=1)


@given(PASSWORDS.map(lambda text: f"{text}c4n4ry{text}"), st.sampled_from(["redis://", "sasl_ssl://"]))
@example("12/34c4n4ry", "redis://")
@example("a@b:c4n4ry@", "redis://")
def test_a_password_is_hidden_whatever_it_holds(password: str, scheme: str) -> None:
    """Also one that should have been percent-encoded."""
    shown = masked(f"cannot reach {scheme}user:{password}@host:1/0 (refused)")
    assert "c4n4ry" not in shown
    assert shown.endswith("***@host:1/0 (refused)")
    assert "c4n4ry" not in masked(f"{scheme}:{password}@host")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user:pw@broker-1:9092,user:pw@broker-2:9092", "***@***@broker-2:9092"),
        ("[user:pw@host:9092]", "[***@host:9092]"),
        ("https://token@issuer.example/x", "https://***@issuer.example/x"),
        ("redis://:pw@[::1]:6379/0", "redis://***@[::1]:6379/0"),
        ("s3:/user:pw@bucket/model", "***@bucket/model"),
    ],
)
def test_every_form_of_an_address_is_known(text: str, shown: str) -> None:
    """With and without a scheme, alone and in a list, and as a path makes of it."""
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "redis://cache:6379/0",
        "chat-events[3]@1200: nothing can be read",
        "mail to ops@example.org about host:9092",
        "at 12:30:05 @ops said: look",
        "a: b@c",
    ],
)
def test_what_holds_no_credentials_stays(text: str) -> None:
    """A place in a topic, a mail address, a time."""
    assert masked(text) == text


@pytest.mark.timeout(45)
@pytest.mark.parametrize("word", ["a:", "://", ":", "a"])
def test_the_cost_of_a_word_from_outside_grows_with_its_length_and_not_with_its_square(word: str) -> None:
    """Every log line is looked at; at the square, these take minutes and the limit ends them."""
    text = word * 100_000 + " @ops"
    assert masked(text) == text
