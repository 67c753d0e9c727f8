"""Ask one model one question after the other over the chat-completions API (openai client), with retries.

The client's own retries are off: tenacity counts the attempts, and a Retry-After holds back all requests to the
endpoint and not just the one that was told. Errors fall into four classes: transient (tried again), about this one
chat (given up), a content filter (a refusal), and about the endpoint as a whole (`AnnotatorStopped`).

Invariant: `ask` returns a reply, a refusal or a failure for this chat, or raises `AnnotatorStopped`; no error text that
leaves here quotes a prompt, an answer or the key.
"""

import random
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from openai.types.chat.chat_completion import Choice
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from training_pipeline.data.annotator_config import Annotator, OutputMode
from training_pipeline.data.errors import AnnotatorStopped
from training_pipeline.data.label_answer import AlternativeToken, AnswerToken
from training_pipeline.data.label_prompt import Task
from training_pipeline.data.pacer import Pacer

_TRANSIENT: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_ENDPOINT: Final = frozenset({401, 402, 403, 404, 405})
_OUT_OF_QUOTA: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "credits_exhausted"})
_FILTERED: Final = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})


class Reply(NamedTuple):
    """What came back for one chat, or that nothing did."""

    text: str | None
    """None where there is no answer."""
    refused: bool
    truncated: bool
    tokens: Sequence[AnswerToken]
    """Empty without log-probabilities."""
    model: str | None
    n_input_tokens: int
    n_output_tokens: int
    n_attempts: int
    failure: str | None
    """Why there was no answer after all attempts."""
    is_final: bool = False
    """Of a failure: whether the endpoint refused this very request, so that the same one will fail again."""
    latency_s: float | None = None
    """Of the request that was answered, without retries and waits."""


class NotACompletion(Exception):  # noqa: N818  the name says what was found
    """The endpoint answered with success and something that is no chat completion: tried again, as it cost nothing."""


class ChatCompletions:
    """One annotator's endpoint.

    Args:
        annotator: What to ask and how often.
        api_key: None for an endpoint without keys.
        task: The system message and the form of the answers.
    """

    def __init__(self, annotator: Annotator, api_key: str | None, task: Task) -> None:
        self._annotator = annotator
        self._pacer = Pacer(annotator.requests_per_minute)
        self._task = task
        self._client = openai.AsyncOpenAI(
            base_url=annotator.base_url,
            api_key=api_key or "none",  # the client insists on one; an endpoint without keys ignores it
            timeout=annotator.timeout_s,
            max_retries=0,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, prompt: str) -> Reply:
        """Ask one question, such as for the label of one quoted chat.

        Raises:
            AnnotatorStopped: key, model, address or quota are wrong: no request will be answered.
        """
        n_attempts = 0
        try:
            async for attempt in AsyncRetrying(
                stop=stop_after_attempt(self._annotator.max_attempts),
                retry=retry_if_exception(_is_transient),
                wait=self._wait_s,
                reraise=True,
            ):
                with attempt:
                    n_attempts += 1
                    await self._pacer.turn()
                    started = time.perf_counter()
                    completion = await self._request(prompt)
                    return _reply(completion, n_attempts, time.perf_counter() - started)
        except (openai.OpenAIError, NotACompletion) as error:
            return self._without_answer(error, n_attempts)
        raise AssertionError  # pragma: no cover  the loop returns or raises

    async def _request(self, prompt: str) -> ChatCompletion:
        annotator = self._annotator
        options: dict[str, Any] = {annotator.token_limit_field.value: annotator.max_answer_tokens}
        if annotator.temperature is not None:
            options["temperature"] = annotator.temperature
        if annotator.top_logprobs:
            options |= {"logprobs": True, "top_logprobs": annotator.top_logprobs}
        if annotator.output is OutputMode.JSON_SCHEMA:
            schema = {"name": self._task.name, "strict": True, "schema": self._task.answer_schema}
            options["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif annotator.output is OutputMode.JSON_OBJECT:
            options["response_format"] = {"type": "json_object"}
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": self._task.system},
            {"role": "user", "content": prompt},
        ]
        try:
            completion = await self._client.chat.completions.create(
                model=annotator.model, messages=messages, extra_body=annotator.extra_body or None, **options
            )
        except ValueError:  # the body is cut off, or no JSON at all
            raise NotACompletion("a body that is not JSON") from None
        if not isinstance(completion, ChatCompletion) or not completion.choices:
            raise NotACompletion("a body without choices")
        return completion

    def _wait_s(self, state: RetryCallState) -> float:
        """Return the wait before the next attempt: what the endpoint asks for, else doubling with jitter."""
        annotator = self._annotator
        error = state.outcome.exception() if state.outcome else None
        asked_s = _retry_after_s(error)
        if asked_s is not None:
            wait_s = min(asked_s, annotator.max_backoff_s)
            self._pacer.pause(wait_s)
            return wait_s
        full_s = min(annotator.max_backoff_s, annotator.first_backoff_s * 2.0 ** (state.attempt_number - 1))
        return full_s * random.uniform(0.5, 1.0)  # noqa: S311  jitter, so that waiting requests do not come back at once

    def _without_answer(self, error: Exception, n_attempts: int) -> Reply:
        found = _describe(error)
        if isinstance(error, openai.APIStatusError):
            if error.code in _FILTERED:
                return _empty_reply(n_attempts, refused=True, failure=None)
            if error.status_code in _ENDPOINT or error.code in _OUT_OF_QUOTA:
                raise AnnotatorStopped(
                    f"annotator {self._annotator.name}: {found}; check base_url, model, the key and the quota"
                ) from None
        is_final = isinstance(error, openai.APIStatusError) and not _is_transient(error)
        return _empty_reply(n_attempts, refused=False, failure=found, is_final=is_final)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, openai.APIStatusError):
        return error.status_code in _TRANSIENT and error.code not in _OUT_OF_QUOTA
    return isinstance(error, openai.APIConnectionError | openai.APIResponseValidationError | NotACompletion)


def _retry_after_s(error: BaseException | None) -> float | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    try:
        seconds = float(error.response.headers["retry-after"])
    except (KeyError, ValueError):  # absent, or a date: rare, and the back-off will do
        return None
    return seconds if seconds >= 0 else None


def _describe(error: Exception) -> str:
    if isinstance(error, openai.APIStatusError):
        return f"HTTP {error.status_code}"
    return str(error) if isinstance(error, NotACompletion) else type(error).__name__


def _empty_reply(n_attempts: int, *, refused: bool, failure: str | None, is_final: bool = False) -> Reply:
    return Reply(None, refused, False, (), None, 0, 0, n_attempts, failure, is_final)  # noqa: FBT003


def _reply(completion: ChatCompletion, n_attempts: int, latency_s: float) -> Reply:
    choice = completion.choices[0]
    usage = completion.usage
    return Reply(
        text=choice.message.content,
        refused=bool(choice.message.refusal) or choice.finish_reason == "content_filter",
        truncated=choice.finish_reason == "length",
        tokens=_tokens(choice),
        model=completion.model,
        n_input_tokens=usage.prompt_tokens if usage else 0,
        n_output_tokens=usage.completion_tokens if usage else 0,
        n_attempts=n_attempts,
        failure=None,
        latency_s=latency_s,
    )


def _tokens(choice: Choice) -> list[AnswerToken]:
    content = choice.logprobs.content if choice.logprobs else None
    return [
        AnswerToken(token.token, [AlternativeToken(other.token, other.logprob) for other in token.top_logprobs or ()])
        for token in content or ()
    ]
