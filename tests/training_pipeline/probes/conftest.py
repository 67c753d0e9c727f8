"""The probes of the repository, the filler, a folder with few probes, and the shipped bundle."""

import random
from pathlib import Path

import pytest

from model import DEFAULT_BUNDLE_PATH, Classifier, load_bundle
from schemas import DEFAULT_POLICY
from training_pipeline.probes.filler import Filler, read_filler
from training_pipeline.probes.probe import PROBE_FILES, TEMPLATES_FILE, WORDS_FILE, ProbeSet, read_probes

DATA = Path(__file__).parents[3] / "data"


def seeded(seed: int) -> random.Random:
    """Return a random state."""
    return random.Random(seed)  # noqa: S311  no secret


@pytest.fixture(scope="session")
def probes() -> ProbeSet:
    """Return all probes of the repository."""
    return read_probes(DATA / "probes")


@pytest.fixture(scope="session")
def filler() -> Filler:
    """Return the measuring half of the sample chats."""
    return read_filler(DATA / "sample" / "chats.jsonl", "measure")


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """Return a folder with the first lines of each file of probes."""
    folder = tmp_path / "probes"
    folder.mkdir()
    for name in (*(f"{name}.jsonl" for name in PROBE_FILES), TEMPLATES_FILE, WORDS_FILE):
        lines = (DATA / "probes" / name).read_bytes().splitlines(keepends=True)
        measured = [line for line in lines if b'"measure"' in line]
        neutral = [line for line in measured if b"neutral" in line]
        (folder / name).write_bytes(b"".join(measured[:2] + neutral[:2]))
    (tmp_path / "sample").mkdir()
    lines = (DATA / "sample" / "chats.jsonl").read_bytes().splitlines(keepends=True)[:120]
    (tmp_path / "sample" / "chats.jsonl").write_bytes(b"".join(lines))
    return folder


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """Return the shipped bundle, ready to classify."""
    return Classifier(load_bundle(DEFAULT_BUNDLE_PATH), DEFAULT_POLICY, n_threads=1)
