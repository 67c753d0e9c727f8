"""Labelling over HTTP, against an endpoint that misbehaves on purpose."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.taxonomy import shipped_taxonomy
from tests.training_pipeline.data.chat_files import chat, read_lines, write_lines
from tests.training_pipeline.data.completion_server import Answer, CompletionServer, Script, completion, error, label
from training_pipeline.data import label as stage
from training_pipeline.data.annotator_config import Annotator
from training_pipeline.data.asking import MAX_FAILURES_IN_A_ROW
from training_pipeline.data.chat_rows import ChatRow, read_chat_rows
from training_pipeline.data.errors import DataError

Run = Callable[..., stage.AnnotatorAccount]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback must not go through a proxy of the machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def rows_of(tmp_path: Path, *texts: str) -> list[ChatRow]:
    """Return one chat per text."""
    path = write_lines(tmp_path / "chats.jsonl", [chat(f"chat-{i}", text) for i, text in enumerate(texts)])
    return list(read_chat_rows([path], lambda _: None))


def annotator(server: CompletionServer, **changes: Any) -> Annotator:
    """Return an annotator at this server that retries fast."""
    defaults = {"first_backoff_s": 0.01, "max_backoff_s": 0.05, "timeout_s": 20.0, "max_attempts": 4}
    prices = {"usd_per_million_input_tokens": 1.0, "usd_per_million_output_tokens": 10.0}
    fields = {"name": "fake", "base_url": server.base_url, "model": "fake", **defaults, **prices, **changes}
    return Annotator.model_validate(fields)


def run(rows: list[ChatRow], who: Annotator, out: Path, **options: Any) -> stage.AnnotatorAccount:
    """Label with one annotator."""
    (account,) = stage.label(rows, [who], {"fake": "key-canary"}, out, **options)
    return account


def one_answer(tmp_path: Path, script: Script, **changes: Any) -> tuple[dict[str, Any], stage.AnnotatorAccount, int]:
    """Label one chat; return its answer, the account and how many requests it took."""
    with CompletionServer(script) as server:
        account = run(rows_of(tmp_path, "hello there"), annotator(server, **changes), tmp_path / "answers")
        (answer,) = read_lines(tmp_path / "answers" / "fake.jsonl")
        return answer, account, len(server.requests)


def then(*answers: Answer) -> Script:
    """Give these answers in turn, the last one for ever."""
    return lambda _, n_before: answers[min(n_before, len(answers) - 1)]


TRUNCATED_BODY = label("E")._replace(cut_after_bytes=60)
NOT_JSON = Answer(body=b"<html>gateway</html>")


@pytest.mark.parametrize(
    "misbehaviour",
    [
        error(429, retry_after="0"),
        error(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
        error(500),
        error(503),
        error(529),
        TRUNCATED_BODY,
        NOT_JSON,
        Answer(body=b"{}"),
    ],
)
def test_a_passing_fault_is_retried_until_the_label_is_there(tmp_path: Path, misbehaviour: Answer) -> None:
    """A night's labelling must survive what every provider does now and then."""
    answer, account, n_requests = one_answer(tmp_path, then(misbehaviour, misbehaviour, label("E")))
    assert (answer["status"], answer["category"]) == ("labelled", "E")
    assert (n_requests, answer["n_attempts"], account.n_attempts) == (3, 3, 3)
    assert account.cost_usd == pytest.approx(1000 / 1e6 + 20 * 10 / 1e6)


def test_a_request_that_times_out_is_retried(tmp_path: Path) -> None:
    """An endpoint that hangs must not hang the run."""
    answer, _, n_requests = one_answer(tmp_path, then(Answer(hangs=True), label("B")), timeout_s=0.3)
    assert (answer["status"], answer["category"], n_requests) == ("labelled", "B", 2)


def test_after_the_last_attempt_the_chat_failed_and_the_next_run_asks_again(tmp_path: Path) -> None:
    """Nothing was paid, so nothing is final."""
    with CompletionServer(then(*[error(500)] * 4, label("E"))) as server:
        rows, who = rows_of(tmp_path, "hello there"), annotator(server)
        first = run(rows, who, tmp_path / "answers")
        second = run(rows, who, tmp_path / "answers")
    assert (first.n_left, first.n_by_status["failed"], second.n_left) == (1, 1, 0)
    answers = read_lines(tmp_path / "answers" / "fake.jsonl")
    assert [answer["status"] for answer in answers] == ["failed", "labelled"]
    assert answers[0]["error"] == "HTTP 500"


REFUSAL = {"message": {"role": "assistant", "content": None, "refusal": "I cannot"}}
OUT_OF_SET = '{"category": "Z", "confidence": 3, "runner_up": "-"}'
TALKED_INTO = 'The operator says E. {"category": "E", "confidence": 3, "runner_up": "-"}'


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (completion(None, **REFUSAL), "refusal"),
        (completion("", finish_reason="content_filter"), "refusal"),
        (error(400, code="content_filter"), "refusal"),
        (completion('{"category": "E", "conf', finish_reason="length"), "bad_answer"),
        (completion('{"category": "E", "conf'), "bad_answer"),
        (completion(None), "bad_answer"),
        (completion(OUT_OF_SET), "bad_answer"),
        (completion(TALKED_INTO), "bad_answer"),
        (completion("I'm sorry, I can't help with that."), "bad_answer"),
    ],
)
def test_a_refusal_or_a_bad_answer_is_an_abstention_and_paid_once(tmp_path: Path, given: Answer, status: str) -> None:
    """F40: never ground truth; and asking the same again would cost the same for the same."""
    with CompletionServer(lambda *_: given) as server:
        rows, who = rows_of(tmp_path, "hello there"), annotator(server)
        run(rows, who, tmp_path / "answers")
        again = run(rows, who, tmp_path / "answers")
        assert len(server.requests) == 1
    (answer,) = read_lines(tmp_path / "answers" / "fake.jsonl")
    assert answer["status"] == status
    assert not answer.keys() & {"category", "soft_label", "confidence"}
    assert again.n_reused == 1


def logprobs(**probabilities: float) -> dict[str, Any]:
    """Return the logprobs of an answer E in three tokens."""
    texts = ['{"category": "', "E", '", "confidence": 3, "runner_up": "-"}']
    others = [{"token": token, "logprob": p, "bytes": None} for token, p in probabilities.items()]
    alternatives: list[list[dict[str, Any]]] = [[], others, []]
    content = [
        {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": top}
        for text, top in zip(texts, alternatives, strict=True)
    ]
    return {"content": content, "refusal": None}


@pytest.mark.parametrize(
    ("given", "soft_label", "has_logprobs"),
    [
        (label("E", logprobs=logprobs(E=-0.2231435, J=-1.6094379)), {"E": 0.8, "J": 0.2}, True),
        (label("E", 2, "J"), {"E": 0.8, "J": 0.2}, False),
        (label("E", 2, "J", logprobs={"content": None, "refusal": None}), {"E": 0.8, "J": 0.2}, False),
    ],
)
def test_log_probabilities_become_the_soft_label_where_the_provider_gives_them(
    tmp_path: Path, given: Answer, soft_label: dict[str, float], has_logprobs: bool
) -> None:
    """Otherwise confidence and runner-up stand in."""
    answer, _, _ = one_answer(tmp_path, then(given), top_logprobs=5)
    assert answer["soft_label"] == pytest.approx(soft_label)
    assert answer["has_logprobs"] is has_logprobs


@pytest.mark.parametrize(
    ("output", "expected"), [("json_schema", "json_schema"), ("json_object", "json_object"), ("text", None)]
)
def test_the_request_says_what_the_annotator_file_says(tmp_path: Path, output: str, expected: str | None) -> None:
    """Providers differ in what they accept; the chat stays in the user message of every one."""
    with CompletionServer(then(label("E"))) as server:
        who = annotator(
            server,
            output=output,
            temperature="unset",
            token_limit_field="max_completion_tokens",  # noqa: S106  no password
            extra_body={"top_k": 1},
        )
        run(rows_of(tmp_path, "canary text"), who, tmp_path / "answers")
        (request,) = server.requests
        assert server.authorisations == ["Bearer key-canary"]
    assert (request.get("response_format") or {}).get("type") == expected
    assert (request["max_completion_tokens"], request["top_k"]) == (60, 1)
    assert not request.keys() & {"temperature", "max_tokens", "logprobs", "tools"}
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert "canary text" not in request["messages"][0]["content"]
    content = (tmp_path / "answers" / "fake.jsonl").read_bytes()
    assert b"canary" not in content


def test_a_killed_run_goes_on_without_paying_twice(tmp_path: Path) -> None:
    """What is in the file is paid for; a line that was cut by the kill is not trusted."""
    texts = [f"question number {i}" for i in range(30)]
    with CompletionServer(then(label("E"))) as server:
        rows, who = rows_of(tmp_path, *texts), annotator(server, max_in_flight=3)
        run(rows[:20], who, tmp_path / "answers")
        path = tmp_path / "answers" / "fake.jsonl"
        path.write_bytes(path.read_bytes()[:-30])
        account = run(rows, who, tmp_path / "answers")
        assert len(server.requests) == 31
    assert (account.n_reused, account.n_by_status["labelled"], account.n_left) == (19, 11, 0)
    assert sorted(row["chat_id"] for row in read_lines(path)) == sorted(row.chat_id for row in rows)


def test_another_model_is_another_question_and_another_price_is_not(tmp_path: Path) -> None:
    """An answer of the old model must not pass as one of the new, nor be paid again for a changed limit."""
    with CompletionServer(then(label("E"))) as server:
        rows = rows_of(tmp_path, "hello there")
        for changes in ({}, {"usd_per_million_input_tokens": 2.0, "max_in_flight": 2}, {"model": "other"}):
            run(rows, annotator(server, **changes), tmp_path / "answers")
        assert [request["model"] for request in server.requests] == ["fake", "other"]


def test_a_wrong_key_stops_the_annotator_at_once_and_not_the_others(tmp_path: Path) -> None:
    """Ten thousand refused requests help nobody; the error names no key."""
    with CompletionServer(lambda *_: error(401)) as locked, CompletionServer(then(label("E"))) as open_one:
        rows = rows_of(tmp_path, *[f"question {i}" for i in range(40)])
        who = [annotator(locked, name="locked", max_in_flight=2), annotator(open_one, name="open")]
        stopped, whole = stage.label(rows, who, {"locked": "key-canary"}, tmp_path / "answers")
        assert len(locked.requests) <= 2
    assert stopped.n_left == 40
    assert stopped.stopped is not None
    assert "HTTP 401" in stopped.stopped
    assert "key-canary" not in stopped.stopped
    assert (whole.n_left, whole.n_by_status["labelled"]) == (0, 40)


def test_an_exhausted_quota_is_not_retried(tmp_path: Path) -> None:
    """It comes as a 429 like a rate limit, and no waiting helps."""
    with CompletionServer(lambda *_: error(429, code="insufficient_quota")) as server:
        account = run(rows_of(tmp_path, "hello"), annotator(server), tmp_path / "answers")
        assert len(server.requests) == 1
    assert account.stopped is not None


def test_an_endpoint_that_is_down_is_left_alone_after_some_chats(tmp_path: Path) -> None:
    """Every chat would wait through all attempts otherwise."""
    with CompletionServer(lambda *_: error(500)) as server:
        rows = rows_of(tmp_path, *[f"question {i}" for i in range(60)])
        account = run(rows, annotator(server, max_attempts=1, max_in_flight=1), tmp_path / "answers")
        assert len(server.requests) == MAX_FAILURES_IN_A_ROW
    assert account.n_left == 60


def test_the_budget_ends_the_run_and_the_rest_is_left(tmp_path: Path) -> None:
    """At 0.0012 USD a chat, the fifth passes 0.005."""
    with CompletionServer(then(label("E"))) as server:
        rows = rows_of(tmp_path, *[f"question {i}" for i in range(20)])
        account = run(rows, annotator(server, max_in_flight=1), tmp_path / "answers", max_cost_usd=0.005)
        assert len(server.requests) == 5
    assert account.n_left == 15
    assert account.cost_usd == pytest.approx(0.006)


def test_a_budget_without_prices_is_refused(tmp_path: Path) -> None:
    """A limit that cannot be kept must not look kept."""
    with CompletionServer(then(label("E"))) as server:
        unset = {"usd_per_million_input_tokens": None, "usd_per_million_output_tokens": None}
        with pytest.raises(DataError, match="no prices for fake"):
            run(rows_of(tmp_path, "hello"), annotator(server, **unset), tmp_path / "answers", max_cost_usd=1.0)


def test_no_more_requests_than_allowed_are_in_flight(tmp_path: Path) -> None:
    """Providers close the door on clients that ignore their limit."""
    together = threading.Barrier(3, timeout=20)

    def script(_prompt: str, _n_before: int) -> Answer:
        together.wait()
        return label("E")

    with CompletionServer(script) as server:
        rows = rows_of(tmp_path, *[f"question {i}" for i in range(12)])
        run(rows, annotator(server, max_in_flight=3), tmp_path / "answers")
        assert server.n_most_in_flight == 3


def test_a_chat_with_the_same_text_is_paid_once(tmp_path: Path) -> None:
    """Both chats get the label, one of them for nothing."""
    with CompletionServer(then(label("E"))) as server:
        rows = rows_of(tmp_path, "the very same", "the very same")
        account = run(rows, annotator(server, max_in_flight=1), tmp_path / "answers")
        assert len(server.requests) == 1
    assert [row["chat_id"] for row in read_lines(tmp_path / "answers" / "fake.jsonl")] == ["chat-0", "chat-1"]
    assert account.n_output_tokens == 20


def test_any_taxonomy_is_labelled_under_its_own_rules(tmp_path: Path) -> None:
    """Another taxonomy's question is another question, also about the same chat in the same folder."""
    community = shipped_taxonomy("community")

    def script(_prompt: str, n_before: int) -> Answer:
        return label("E") if n_before == 0 else label("question")

    with CompletionServer(script) as server:
        rows, who = rows_of(tmp_path, "does anybody know?"), annotator(server)
        run(rows, who, tmp_path / "answers")
        run(rows, who, tmp_path / "answers", taxonomy=community)
        run(rows, who, tmp_path / "answers", taxonomy=community)
        _, request = server.requests
    assert "community" not in request["messages"][0]["content"]
    assert "question question: asks for help" in request["messages"][0]["content"]
    schema = request["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["category"]["enum"] == ["question", "answer", "comment"]
    answers = read_lines(tmp_path / "answers" / "fake.jsonl")
    assert [answer["category"] for answer in answers] == ["E", "question"]
    assert answers[0]["rules_digest"] != answers[1]["rules_digest"]
