"""LLM endpoints as classifiers, against an endpoint on loopback that answers as told."""

from pathlib import Path
from typing import Any

import pytest

from model.windowing import Windowing
from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from tests.training_pipeline.data.completion_server import Answer, CompletionServer, Prompt, completion, error, label
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.errors import DataError
from training_pipeline.quality.evaluate import figures
from training_pipeline.quality.metrics import NO_ANSWER
from training_pipeline.report.llm_endpoint import LlmEndpoint


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback must not go through a proxy of the machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def chats(few_chats: Path) -> LabelledChats:
    """Return the few chats, read."""
    return read_labelled_chats([few_chats], Windowing(), frozenset())


def endpoint(server: CompletionServer, tmp_path: Path, **changes: Any) -> LlmEndpoint:
    """Return an LLM at this server; each answer takes 1,000 tokens at 1 USD and 20 at 10 USD a million."""
    fields = {
        "name": "fake",
        "base_url": server.base_url,
        "model": "fake-1",
        "first_backoff_s": 0.01,
        "max_attempts": 2,
    }
    prices = {"usd_per_million_input_tokens": 1.0, "usd_per_million_output_tokens": 10.0}
    return LlmEndpoint(Annotator.model_validate({**fields, **prices, **changes}), None, tmp_path / "answers")


def test_refusals_and_bad_answers_are_no_answer_and_nothing_is_paid_twice(chats: LabelledChats, tmp_path: Path) -> None:
    """What a model does not answer counts against it, and a second comparison is free."""

    def script(prompt: Prompt, _n_before: int) -> Answer:
        kind = len(prompt) % 3
        return label("A") if kind == 0 else completion("I would rather not.") if kind == 1 else label("M")

    with CompletionServer(script) as server:
        llm = endpoint(server, tmp_path)
        first = llm.predict(chats)
        n_requests = len(server.requests)
        again = endpoint(server, tmp_path)
        assert (again.predict(chats).predicted == first.predicted).all()
        assert len(server.requests) == n_requests
    assert set(first.predicted.tolist()) == {NO_ANSWER, CHAT_13.codes.index("A"), CHAT_13.codes.index("M")}
    assert not first.has_scores
    assert first.decisions is None
    found = figures(first, BANNED_COLUMNS)
    assert not {"expected_calibration_error", "decisions_banned"} & found.keys()
    usage, speed = again.usage(chats), again.speed([], 0)
    assert usage is not None
    assert usage.n_input_tokens == 1000 * n_requests
    assert usage.cost_usd == pytest.approx(n_requests * (0.001 + 0.0002))
    assert speed is not None
    assert speed.n_timed == n_requests
    assert speed.p50_ms is not None


def test_log_probabilities_give_scores(chats: LabelledChats, tmp_path: Path) -> None:
    """Only the model's own probabilities can be moved along a threshold."""
    texts = ['{"category": "', "E", '", "confidence": 3, "runner_up": "-"}']
    others = [{"token": t, "logprob": p, "bytes": None} for t, p in (("E", -0.22314), ("J", -1.60944))]
    alternatives: list[list[dict[str, Any]]] = [[], others, []]
    content = [
        {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": top}
        for text, top in zip(texts, alternatives, strict=True)
    ]
    with CompletionServer(lambda *_: label("E", logprobs={"content": content, "refusal": None})) as server:
        found = endpoint(server, tmp_path, top_logprobs=5).predict(chats)
    assert found.has_scores
    assert found.probabilities[0, CHAT_13.codes.index("J")] == pytest.approx(0.2, abs=1e-4)
    assert "expected_calibration_error" in figures(found, BANNED_COLUMNS)


def test_a_run_that_could_not_ask_every_chat_is_refused(chats: LabelledChats, tmp_path: Path) -> None:
    """Figures on the chats that happened to be answered would be another test set."""
    with CompletionServer(lambda *_: error(401)) as server, pytest.raises(DataError, match="24 of 24 chats have no"):
        endpoint(server, tmp_path).predict(chats)
