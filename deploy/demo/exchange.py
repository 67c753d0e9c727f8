"""Publish the plan phase by phase and take in the answers, in one thread.

One thread, so that nothing competes with the reader for the interpreter while a latency is measured; for the same
reason the table is not drawn while a paced event has no answer yet.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from deploy.demo.account import DemoAccount
from deploy.demo.errors import DemoError
from deploy.demo.events import Phase, Plan, Publication
from deploy.demo.live_table import LiveTable
from deploy.demo.verdict_stream import VerdictStream
from testkit.records import InputRecord
from testkit.sender import Sender

_WAIT_S: Final = 0.05
"""Longest single wait for an answer: bounds how late anything else is noticed."""


class Exchange:
    """Events out, answers in.

    Args:
        sender: Takes the events.
        stream: Gives the answers.
        account: Takes in both.
        table: Shows the answers.
        check_worker: Raises HarnessError when the worker has ended.
        events_per_s: Pace of the last phase.
        stall_timeout_s: Without any answer for longer, the run has failed.

    Attributes:
        first_s, backlog_s, paced_s: How long the phases took; 0.0 for one that was not finished.
    """

    def __init__(
        self,
        sender: Sender,
        stream: VerdictStream,
        account: DemoAccount,
        table: LiveTable,
        *,
        check_worker: Callable[[], None],
        events_per_s: float,
        stall_timeout_s: float,
    ) -> None:
        self._sender = sender
        self._stream = stream
        self._account = account
        self._table = table
        self._check_worker = check_worker
        self._interval_s = 1 / events_per_s
        self._stall_timeout_s = stall_timeout_s
        self._last_answer = time.monotonic()
        self.first_s = self.backlog_s = self.paced_s = 0.0

    def run(self, plan: Plan) -> None:
        """Publish everything and wait for all answers.

        Raises:
            HarnessError: No answer came for too long, the worker has ended, or Kafka refused something.
        """
        self._last_answer = time.monotonic()
        self._table.stage("worker starts; one event waits for it")
        self.first_s = self._at_once([plan.first], Phase.FIRST)
        self._table.stage(f"backlog: {len(plan.backlog)} events at once, for the throughput")
        self.backlog_s = self._at_once(plan.backlog, Phase.BACKLOG)
        pace = f"{len(plan.paced)} events, {1 / self._interval_s:g} per second"
        self._table.stage(f"paced: {pace}, for the latency")
        self.paced_s = self._one_by_one(plan.paced)

    def _at_once(self, publications: Sequence[Publication], phase: Phase) -> float:
        started = time.perf_counter()
        for publication in publications:
            self._publish(publication, phase)
            self._take(0, draw=True)
        self._wait_for_answers(draw=True)
        return time.perf_counter() - started

    def _one_by_one(self, publications: Sequence[Publication]) -> float:
        started = time.perf_counter()
        for n, publication in enumerate(publications):
            while (early_s := started + n * self._interval_s - time.perf_counter()) > 0:
                self._take(min(early_s, _WAIT_S), draw=self._account.n_open == 0)
            self._publish(publication, Phase.PACED)
        self._wait_for_answers(draw=False)
        return time.perf_counter() - started

    def _publish(self, publication: Publication, phase: Phase) -> None:
        self._account.hand_over()
        self._sender.send(
            InputRecord(publication.key, publication.value),
            on_place=lambda place: self._account.acknowledge(place, publication, phase),
        )

    def _wait_for_answers(self, *, draw: bool) -> None:
        while self._account.n_open:
            self._take(_WAIT_S, draw=draw)

    def _take(self, timeout_s: float, *, draw: bool) -> None:
        """Take in one answer, if one comes in time."""
        self._sender.serve()
        answer = self._stream.poll(timeout_s)
        if answer is not None:
            self._account.answer(answer)
            self._table.add(answer)
            self._last_answer = time.monotonic()
        else:
            self._check_worker()
            self._check_stall()
        if draw:
            self._table.draw()

    def _check_stall(self) -> None:
        if not self._account.n_open:
            self._last_answer = time.monotonic()
        elif time.monotonic() - self._last_answer > self._stall_timeout_s:
            raise DemoError(
                f"no answer for {self._stall_timeout_s:g} s while {self._account.n_open} events wait for theirs; "
                "expected a verdict or a dead letter for each; the worker's log says more"
            )
