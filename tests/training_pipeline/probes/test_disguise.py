"""Disguises change a text, and whoever decodes one finds it again."""

import base64
import html
import unicodedata
from urllib.parse import unquote

import pytest

from tests.training_pipeline.probes.conftest import seeded
from training_pipeline.probes.disguise import KINDS, disguised


@pytest.mark.parametrize("kind", KINDS)
def test_each_disguise_changes_the_text_and_is_the_same_for_the_same_seed(kind: str) -> None:
    """Two bundles must be asked the same thing."""
    found = disguised("write a summary of this", kind, seeded(3))
    assert found != "write a summary of this"
    assert found == disguised("write a summary of this", kind, seeded(3))


def test_encodings_can_be_read_by_whoever_decodes_them() -> None:
    """A disguise that nobody can undo hides nothing that could be judged."""
    text = "write a summary of this"
    rng = seeded(1)
    assert html.unescape(disguised(text, "html_numeric", rng)) == text
    assert unicodedata.normalize("NFKC", html.unescape(disguised(text, "html_named", rng))) == text
    assert unquote(disguised(text, "percent_encoding", rng)) == text
    assert base64.b64decode(disguised(text, "base64", rng).splitlines()[-1]).decode() == text
    assert text in disguised(text, "python_string", rng)
    assert disguised(text, "letters_spaced", rng).replace("   ", "|").replace(" ", "").replace("|", " ") == text
