"""A small brief for the community taxonomy, and runs of it against the loopback endpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.taxonomy import shipped_taxonomy
from tests.training_pipeline.data.completion_server import CompletionServer
from training_pipeline.data.asking import Budget
from training_pipeline.synthesise.brief import Brief, Judge, Writer
from training_pipeline.synthesise.synthesise import Outcome, Synthesis, SynthesisOptions, answers_folder, synthesise

Run = Callable[..., Outcome]

FIELDS: dict[str, Any] = {
    "audience": "people who test",
    "setting": "a channel",
    "personas": ["a beginner", "a regular"],
    "topics": ["saving", "sound", "shaders"],
    "tones": ["terse", "friendly"],
    "lengths": [
        {"name": "one", "messages": [1, 1], "words": [2, 20]},
        {"name": "two", "messages": [2, 3], "words": [2, 20]},
    ],
    "speakers": [{"name": "ana"}, {"name": "ben"}, {"name": "cleo"}],
    "speakers_per_chat": [1, 3],
    "labelled": "last",
    "license": "CC0-1.0",
}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback must not go through a proxy of the machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def endpoint(server: CompletionServer | None, **changes: Any) -> dict[str, Any]:
    """Return an endpoint at a server that retries fast; None for one that must not be asked."""
    fast = {"first_backoff_s": 0.01, "max_backoff_s": 0.05, "timeout_s": 20.0, "max_attempts": 4, "max_in_flight": 3}
    prices = {"usd_per_million_input_tokens": 1.0, "usd_per_million_output_tokens": 10.0}
    base_url = "http://127.0.0.1:9/v1" if server is None else server.base_url
    return {"base_url": base_url, "model": "fake", **fast, **prices, **changes}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs the stage; further arguments are options, `brief`, `endpoint` and `avoid`."""

    def start(server: CompletionServer | None, out: Path | None = None, **changes: Any) -> Outcome:
        out = out or tmp_path / "chats.jsonl"
        at = endpoint(server, **changes.pop("endpoint", {}))
        max_cost_usd = changes.pop("max_cost_usd", None)
        judged = changes.pop("judged", True)
        avoided = changes.pop("avoid", [])
        wanted = Synthesis(
            taxonomy=changes.pop("taxonomy", None) or shipped_taxonomy("community"),
            brief=Brief.model_validate(FIELDS | changes.pop("brief", {})),
            writer=Writer.model_validate(at),
            judge=Judge.model_validate(at) if judged else None,
            inputs={"brief": "sha256:of a test"} | {str(path): "sha256:of a test" for path in avoided},
            avoided=avoided,
            options=SynthesisOptions.model_validate({"per_category": 4, **changes}),
        )
        budget = None if server is None else Budget(max_cost_usd)
        return synthesise(wanted, out, answers_folder(out), {}, budget=budget)

    return start
