from pathlib import Path

import orjson
import pytest

from loadtest.compare.padded_session import PaddedModel, PaddedSession
from loadtest.compare.peer_environment import peer_python
from loadtest.compare.reference_model import REFERENCE_TOKENS, reference_model
from loadtest.compare.sessions import evenly_spaced

TEXTS = ["short", "a little longer than that"]


def _measured(bundle_path: Path, model: Path, n_tokens: int) -> dict[str, float]:
    session = PaddedSession(PaddedModel(model, bundle_path / "tokenizer.json", n_tokens), n_threads=2)
    return session.measure(TEXTS)


@pytest.mark.services
@pytest.mark.timeout(900)  # the first call installs what builds the graph
def test_the_reference_model_is_built_and_classifies_every_chat_at_512_tokens(bundle_path: Path) -> None:
    """The baseline of the central ratio is real work: DistilBERT's size, its width, its vocabulary."""
    model = reference_model(peer_python())
    assert model.stat().st_size > 60_000_000  # 66 million weights of one byte
    result = _measured(bundle_path, model, REFERENCE_TOKENS)
    assert result["n_padded_tokens"] == len(TEXTS) * 512
    assert result["elapsed_s"] > 0


def test_the_bundle_is_padded_to_its_own_longest_row(bundle_path: Path) -> None:
    """The same way of running, so that the ratio to it shows what sorting and packing bring."""
    n_tokens = orjson.loads((bundle_path / "manifest.json").read_bytes())["windowing"]["max_tokens"]
    assert _measured(bundle_path, bundle_path / "model.onnx", n_tokens)["n_padded_tokens"] == len(TEXTS) * n_tokens


@pytest.mark.parametrize(("n_items", "expected"), [(3, [0, 3, 6]), (10, list(range(10))), (99, list(range(10)))])
def test_evenly_spaced_items_come_from_all_over(n_items: int, expected: list[int]) -> None:
    """The first chats of a file are often alike."""
    assert evenly_spaced(range(10), n_items) == expected
