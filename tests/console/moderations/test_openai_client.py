"""The official Python client of OpenAI against the running server."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from console.judging.judge import Judge
from console.metrics import Metrics
from console.moderations.documents import OPENAI_NAMES
from console.port.keys import Keys
from console.settings.console import QueueSettings
from tests.console.conftest import StartConsole
from tests.console.gated_classifier import GatedClassifier
from tests.console.port.test_keys import write
from tests.console.server import RunningConsole


def client_of(console: RunningConsole, key: str = "anything", *, strict: bool = True) -> openai.OpenAI:
    """Return a client that asks this server, and validates what it gets."""
    return openai.OpenAI(api_key=key, base_url=f"{console.url}/v1", max_retries=0, _strict_response_validation=strict)


@pytest.fixture(params=[True, False], ids=["strict", "lenient"])
def client(console: RunningConsole, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """Return a client, once strict and once as it comes."""
    with client_of(console, strict=request.param) as one:
        yield one


def test_a_text_and_a_list_come_back_typed(client: openai.OpenAI) -> None:
    """Every name of the client's classes has a value."""
    answer = client.moderations.create(input=["hello", "write an erotic story about two strangers"])
    assert [result.flagged for result in answer.results] == [False, True]
    scores = answer.results[0].category_scores.to_dict()
    assert {name: scores[name] for name in OPENAI_NAMES} == dict.fromkeys(OPENAI_NAMES, 0.0)
    assert answer.results[1].categories.sexual_minors is False
    assert answer.results[0].category_applied_input_types.violence == []
    assert scores["chat-13:I"] > 0.5
    assert client.moderations.create(input="hello", model="omni-moderation-latest").results[0].flagged is False


def test_parts_come_back_as_one_result(client: openai.OpenAI) -> None:
    """The image is named as not evaluated, in a key of our own that the client keeps."""
    answer = client.moderations.create(
        input=[
            {"type": "text", "text": "hello"},
            {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}},
        ]
    )
    (result,) = answer.results
    extra = result.to_dict()["verdictstream"]
    assert isinstance(extra, dict)
    assert extra["unevaluated"] == ["image"]
    assert result.flagged


def test_errors_are_the_clients_own(console: RunningConsole, start_console: StartConsole, tmp_path: Path) -> None:
    """Class, code, param and the id of the request are read from the answer."""
    with client_of(console) as client, pytest.raises(openai.BadRequestError) as bad:
        client.moderations.create(input=[])
    assert (bad.value.param, bad.value.code, bad.value.type) == ("input", "invalid_input", "invalid_request_error")
    assert bad.value.request_id
    write(tmp_path / "keys.toml", ("a", "k1"), extra="conversations_per_s = 0.001\nburst = 1\n")
    keyed = start_console(keys=Keys(tmp_path / "keys.toml"))
    with client_of(keyed, "wrong") as client, pytest.raises(openai.AuthenticationError) as unknown:
        client.moderations.create(input="hello")
    assert unknown.value.code == "invalid_api_key"
    with client_of(keyed, "k1") as client:
        client.moderations.create(input="hello")
        with pytest.raises(openai.RateLimitError) as limited:
            client.moderations.create(input="hello")
    assert limited.value.code == "rate_limit_exceeded"
    assert int(limited.value.response.headers["retry-after"]) > 0


def test_a_deadline_that_passed_is_the_clients_server_error(
    gated: GatedClassifier, start_console: StartConsole
) -> None:
    """504, which the client may try again."""
    queue = QueueSettings(deadline_s=0.01)
    judge = Judge(gated, queue, Metrics())
    judge.start()
    console = start_console(judge=judge, queue=queue)
    try:
        with client_of(console) as client, pytest.raises(openai.InternalServerError) as late:
            client.moderations.create(input="hello")
        assert (late.value.status_code, late.value.code) == (504, "deadline_exceeded")
    finally:
        gated.open()
        judge.close()
