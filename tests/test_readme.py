"""The README's first steps are true: its event gives its verdict, and its settings start a worker."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from model import DEFAULT_BUNDLE_PATH, Classification, Classifier, load_bundle
from schemas import CodecLimits
from worker.decode import Decoder
from worker.predictor import Predictor
from worker.record import Record
from worker.settings.source import read_settings

_README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
_MOST_WORDS = 900
"""Outside of listings."""
_CLOSE = 0.02
"""Quantised products differ between processors in the last digits."""


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", _README, re.MULTILINE | re.DOTALL)


def test_the_event_gets_the_verdict_that_stands_beside_it() -> None:
    """Field by field, by the shipped bundle; change both where it is another bundle."""
    event, verdict = map(orjson.loads, blocks("json"))
    bundle = load_bundle(DEFAULT_BUNDLE_PATH)
    predictor = Predictor.of(Classifier(bundle, bundle.default_policy, n_threads=1))
    record = Record("chat-events", 0, 0, 0, b"sample-0117", orjson.dumps(event))
    (row,) = Decoder(CodecLimits()).decode([record])
    assert row.event is not None
    (answer,), _ = predictor.classifier.classify([row.event.turns])
    assert isinstance(answer, Classification)
    found: dict[str, Any] = predictor.builder.fresh(row.event, answer, datetime.now(UTC)).model_dump(mode="json")
    for name, value in verdict.items():
        assert found[name] == (pytest.approx(value, abs=_CLOSE) if isinstance(value, float) else value), name


def test_the_settings_file_is_one(tmp_path: Path) -> None:
    """Copied as it stands."""
    path = tmp_path / "worker.toml"
    (text,) = blocks("toml")
    path.write_text(text)
    assert read_settings({}, path).redis.url is not None


def test_it_stays_short() -> None:
    """One screen a section; details have pages of their own."""
    prose = re.sub(r"^```.*?^```", "", _README, flags=re.MULTILINE | re.DOTALL)
    assert sum(bool(re.search(r"\w", word)) for word in prose.split()) <= _MOST_WORDS
