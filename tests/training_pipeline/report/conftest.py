"""Made predictions, some of them missing, and a few labelled chats of each kind."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from model.calibration import softmax
from schemas import CHAT_13
from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import NO_ANSWER

SAMPLE_PATH = Path(__file__).parents[3] / "data" / "sample" / "chats.jsonl"


def made_predictions(seed: int, *, n_chats: int = 300, skill: float = 1.5, n_missing: int = 0) -> Predictions:
    """Return predictions that are right more often than not; the same chats whatever the seed."""
    labels = np.random.default_rng(1).integers(0, len(CHAT_13.codes), n_chats)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_chats, len(CHAT_13.codes)))
    logits[np.arange(n_chats), labels] += skill
    probabilities = softmax(logits.astype(np.float32))
    predicted = probabilities.argmax(axis=1)
    missing = rng.permutation(n_chats)[:n_missing]
    probabilities[missing], predicted[missing] = np.nan, NO_ANSWER
    decisions = rng.choice(["allow", "review", "block"], n_chats)
    return Predictions(labels, predicted, probabilities, decisions)


@pytest.fixture(scope="session")
def few_chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of 24 sample chats, 6 of them banned, the last two disputed."""
    rows = [orjson.loads(line) for line in SAMPLE_PATH.read_bytes().splitlines()[:300]]
    banned = [row for row in rows if row["category"] in "DJM"][:6]
    safe = [row for row in rows if row["category"] not in "DJM"][:18]
    for row in safe[-2:]:
        row["agreed"] = False
    path = tmp_path_factory.mktemp("few") / "few.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in banned + safe))
    return path
