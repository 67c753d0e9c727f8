"""Licence texts as data sets state them."""

import pytest

from training_pipeline.chats.licences import licence_class


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MIT", "permissive"),
        ("Apache-2.0 (stated in README)", "permissive"),
        ("CC BY 4.0", "permissive"),
        ("CC0-1.0", "permissive"),
        ("CC BY-SA 4.0", "share_alike"),
        ("non-commercial research only", "non_commercial"),
        ("MIT (code); LIMA CC BY-NC-SA, others as upstream", "non_commercial"),
        ("Apache-2.0 (repo); demo data CC BY-NC", "non_commercial"),
        ("MIT (repo); underlying conversations: unclear", "unknown"),
        ("unknown (Stack Overflow content, CC BY-SA)", "unknown"),
        ("ask the author", "unknown"),
    ],
)
def test_the_strictest_term_of_a_licence_text_decides(text: str, expected: str) -> None:
    """A bundle trained on "permissive chats only" must not hold a chat whose data licence forbids it."""
    assert licence_class(text) == expected
