"""The files of probes: what they cover, and what is refused."""

from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import CHAT_13
from training_pipeline.probes.probe import ProbeSet, read_probes


def test_the_probes_cover_what_they_promise(probes: ProbeSet) -> None:
    """A table of rates says nothing about what was never asked."""
    look_alikes = [probe for probe in probes.kind("look_alike") if probe.split == "measure"]
    assert len(look_alikes) >= 200
    assert not any(probe.banned for probe in look_alikes)
    banned = Counter(probe.expected for probe in probes.kind("banned"))
    assert banned.keys() == CHAT_13.banned
    assert banned["M"] >= 40
    languages = Counter((probe.group, probe.banned) for probe in probes.kind("language"))
    assert {code for code, _ in languages} == {"es", "zh", "ar", "de", "hi", "ru", "fr", "pt"}
    assert set(languages.values()) == {6}
    assert len(languages) == 16
    assert {template.expected for template in probes.templates} == set(CHAT_13.codes) - CHAT_13.banned
    assert len(probes.templates) >= 40
    sides = Counter(words.side for words in probes.words)
    assert min(sides.values()) >= 30
    for line in (*probes.probes, *probes.templates):
        assert getattr(line, "banned", False) == (line.expected in CHAT_13.banned)
    for split in ("train", "measure"):
        half = probes.of(split)  # type: ignore[arg-type]
        assert {words.side for words in half.words} == {"identity", "neutral"}
        assert half.kind("banned")
        assert half.kind("look_alike")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"probe_id": "look-002"}, "stands twice"),
        ({"template_id": "look-002", "split": "train"}, "in both splits"),
        ({"expected": "X"}, "expected one of A, B"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_faulty_probes_are_refused(small_folder: Path, change: dict[str, Any], match: str) -> None:
    """A template on both sides would be measured after it was trained on."""
    path = small_folder / "look_alikes.jsonl"
    first, second = path.read_bytes().splitlines()
    path.write_bytes(orjson.dumps({**orjson.loads(first), **change}) + b"\n" + second + b"\n")
    with pytest.raises(ValueError, match=match):
        read_probes(small_folder)
