"""What routes and pages share: ask the judge for a request, within its deadline and its caller's limit."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, TypeVar

from starlette.requests import Request

from console.errors import Problem
from console.judging.judge import Judge
from console.judging.loading import load_classifier
from console.judging.request import Answer
from console.judging.verdicts import VerdictWriter
from console.metrics import Metrics
from console.operations import Operations
from console.port.body import Bodies
from console.port.guard import caller_of
from console.settings.console import ConsoleSettings
from model import Bundle, Classification, Classifier, DecisionRule
from schemas import Turn

DEADLINE_HEADER: Final = "x-deadline-ms"
MODEL_HEADER: Final = "x-verdictstream-model"
_LARGE_BODY_BYTES: Final = 32_000

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Service:
    """A bundle that answers requests."""

    bundle: Bundle
    writer: VerdictWriter
    judge: Judge
    bodies: Bodies
    metrics: Metrics
    settings: ConsoleSettings
    operations: Operations | None = None
    """What follows the pipeline; None where the console is not told of one."""
    policies_refused: Mapping[str, str] = field(default_factory=dict)
    """Policy files that decide nothing, by name: what is wrong with each."""
    at_end: list[Callable[[], None]] = field(default_factory=list)
    """Called by `close`, before the judge ends."""

    def close(self) -> None:
        """End what answers: a thread that is inside the model must not meet the end of the interpreter."""
        for end in self.at_end:
            end()
        if self.operations is not None:
            self.operations.close()
        self.judge.close()

    @property
    def model_headers(self) -> dict[str, str]:
        """Which model answered, for answers whose form has no place for it."""
        ref = self.bundle.ref
        return {MODEL_HEADER: f"{ref.name} {ref.version} {ref.digest}"}

    def following(self) -> Operations:
        """Return what follows the pipeline.

        Raises:
            Problem: 501, the console is not told of one.
        """
        if self.operations is None:
            raise not_configured("CONSOLE_PIPELINE__IS_ON=true, and the MODERATION_ settings of the workers")
        return self.operations

    def taking_reports(self) -> Operations:
        """Return what follows the pipeline, where reports have a topic.

        Raises:
            Problem: 501, none is followed, or it names no such topic.
        """
        operations = self.following()
        if operations.worker.kafka.feedback_topic is None:
            raise not_configured("MODERATION_KAFKA__FEEDBACK_TOPIC, the topic of reports")
        return operations

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request that the judge has time for; its bytes count as held until the context ends.

        Raises:
            Problem: what `Judge.check` and `Bodies.of` raise.
        """
        self.judge.check(self._deadline_s(request))
        async with self.bodies.of(request) as raw:
            yield raw

    async def read(self, raw: bytes, read: Callable[[bytes], _Read]) -> _Read:
        """Read a body, a large one in a thread: it takes up to half a second, in which others are to be answered."""
        return read(raw) if len(raw) < _LARGE_BODY_BYTES else await asyncio.to_thread(read, raw)

    async def ask(
        self, request: Request, conversations: Sequence[Sequence[Turn]], *, is_background: bool = False
    ) -> list[Answer]:
        """Return one answer per conversation, in order, and count them against the caller's limit.

        Args:
            request: Whose deadline and caller count.
            conversations: Turns with visible text.
            is_background: Whether all other requests go first.

        Raises:
            Problem: the deadline passed, or the queue is full.
        """
        if not conversations:
            return []
        within_s = self.left_s(request)
        if (limit := caller_of(request.scope).limit) is not None:
            limit.spend(len(conversations))
        state = request.scope["state"]
        state["n_conversations"] = state.get("n_conversations", 0) + len(conversations)
        answers = await self.judge.judge(conversations, within_s=within_s, is_background=is_background)
        for answer in answers:
            decision = self.writer.decision(answer).value if isinstance(answer, Classification) else "failed"
            self.metrics.conversations.labels(decision=decision).inc()
        return answers

    def left_s(self, request: Request) -> float:
        """Return the seconds that are left until a request's deadline."""
        started_s: float = request.scope["state"]["started_s"]
        return max(0.0, self._deadline_s(request) - (time.perf_counter() - started_s))

    def _deadline_s(self, request: Request) -> float:
        longest_s = self.settings.queue.deadline_s
        text = request.headers.get(DEADLINE_HEADER)
        if text is None:
            return longest_s
        if not (text.isascii() and text.isdecimal() and int(text[:9]) > 0):
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                "bad_deadline",
                f"{DEADLINE_HEADER} is no whole number of milliseconds above 0; expected one, or leave it out",
                param=DEADLINE_HEADER,
            )
        return min(longest_s, int(text[:9]) / 1_000)


def not_configured(missing: str) -> Problem:
    """Return the answer of a route that needs a setting: 501, and no client should try again."""
    return Problem(
        HTTPStatus.NOT_IMPLEMENTED,
        "not_implemented",
        f"this process is not set up for it; expected {missing}; docs/console.md tells more",
    )


def load_service(settings: ConsoleSettings, metrics: Metrics, operations: Operations | None = None) -> Service:
    """Load the bundle and put together what answers; neither the judge nor the operations are started.

    Raises:
        BundleError, PolicyError, SettingsError: a file is refused.
    """
    classifier, rules, refused = load_classifier(settings.model)
    return service_of(classifier, rules, settings, metrics, operations, refused=refused)


def service_of(
    classifier: Classifier,
    rules: Sequence[DecisionRule],
    settings: ConsoleSettings,
    metrics: Metrics,
    operations: Operations | None = None,
    *,
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Service:
    """Put together what answers with a classifier; neither the judge nor the operations are started.

    Args:
        classifier: Warmed up.
        rules: For every policy, the default one first.
        settings: The console's.
        metrics: The console's.
        operations: What follows the pipeline.
        refused: Policy files that decide nothing, by name: what is wrong with each.
    """
    metrics.policies_refused.set(len(refused))
    bundle = classifier.bundle
    metrics.show_model(bundle.ref, taxonomy=str(bundle.taxonomy.ref), is_calibrated=bundle.is_calibrated)
    writer = VerdictWriter(bundle, rules)
    if operations is not None and operations.queue is not None:
        operations.queue.gold_queue = writer.policy.name
    return Service(
        bundle=bundle,
        writer=writer,
        judge=Judge(classifier, settings.queue, metrics),
        bodies=Bodies(settings.http),
        metrics=metrics,
        settings=settings,
        operations=operations,
        policies_refused=refused,
    )
