"""Notice a new bundle or policy, verify and build it beside the running one, and offer it.

Invariant: whatever is wrong with the new files, the predictor in use stays; the fault is logged once, counted each time
it is met, and shown by a gauge until the files are right again. A look that does not end is a fault, too.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

import structlog

from model import BundleError, PolicyError
from worker.predictor import Loaded, ModelStuck, Predictor, build_predictor
from worker.process.metrics import Metrics
from worker.process.tuning import be_nice, give_back_freed_memory
from worker.reload.deadline import Deadline
from worker.reload.file_signature import Appearance, appearance
from worker.settings.model import ModelSettings

log = structlog.get_logger()

Role = Literal["live", "shadow"]

OUTCOMES: Final = ("swapped", "unchanged", "refused", "overdue")
"""Of a look at files that have changed, as `moderation_reload_total` counts them."""

Accepts = Callable[[Loaded], None]
"""Raises BundleError or PolicyError where what was read must not be taken into use."""

Wish = str | Predictor
"""`look`, `stop`, or a predictor that nobody needs any more."""
Inbox = queue.SimpleQueue[Wish]
"""Of all that can wake a thread, this alone may be used by a signal handler that interrupts itself."""

RETRY_S: Final = 60.0
"""A refused bundle that has not changed is tried again after this: the fault may lie with the volume, not the files."""

DEADLINE_S: Final = 120.0
"""A look that takes longer is told of: its volume answers no more, or the new model takes minutes to build."""

_CLOSE_S: Final = 5.0
_LET_GO_S: Final = 1.0
"""By then whoever swapped a predictor out has let go of it: it is freed here, not in the loop (36 ms)."""


def accept_all(_: Loaded) -> None:
    """Refuse nothing."""


class ReloadWatcher:
    """Looks after one predictor in a thread of its own.

    Args:
        settings: Paths, inference settings and the interval.
        loaded: What the predictor in use was built from; None where there is none yet.
        seen: How the files looked before they were read; None lets the first look load them.
        offer: Takes a new predictor.
        metrics: Where outcomes are counted.
        role: Whose predictor it is.
        niceness: Of the thread and of the sessions' threads that it builds, 0..19.
        inbox: What wakes the thread; whoever swaps predictors puts the old one here, to be dropped outside the loop.
        deadline_s: Longest time of a look before it is told of.
        accepts: Refuses what the rest of the settings cannot serve.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        loaded: Loaded | None,
        seen: Appearance | None,
        offer: Callable[[Predictor], None],
        metrics: Metrics,
        role: Role = "live",
        niceness: int = 0,
        inbox: Inbox | None = None,
        deadline_s: float = DEADLINE_S,
        accepts: Accepts = accept_all,
    ) -> None:
        self._accepts = accepts
        self._settings = settings
        self._seen = seen
        self._in_use = (loaded.bundle.digest, loaded.policy) if loaded is not None else None
        self._offer = offer
        self._metrics = metrics
        self._role = role
        self._niceness = niceness
        self._fault: str | None = None
        self._stuck: dict[str, str] = {}
        """By digest, the faults of bundles that are not built again in this process."""
        self._retry_at = float("inf")
        self._inbox: Inbox = queue.SimpleQueue() if inbox is None else inbox
        self._deadline_s = deadline_s
        self._deadline = Deadline(deadline_s, overdue=self._on_overdue, over=self._on_overdue_end)
        self._thread = threading.Thread(target=self._run, name=f"reload-{role}", daemon=True)
        metrics.reload_failed.labels(role).set(0)
        metrics.reload_last_look_s.labels(role)
        for outcome in OUTCOMES:
            metrics.reloads.labels(role, outcome)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def ask(self) -> None:
        """Look now, and read the files even where they look the same. May be called by a signal handler."""
        self._inbox.put("look")

    def close(self) -> None:
        """Stop looking; a load in progress is waited for, for a short while."""
        self._inbox.put("stop")
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        be_nice(self._niceness)
        wish = ""
        while wish != "stop":
            self.look(asked=wish == "look")
            wish = self._next_wish()

    def _next_wish(self) -> str:
        """Wait for a wish, or for the interval to pass; meanwhile drop the predictor that was swapped out."""
        retired: Predictor | None = None
        while True:
            interval_s = self._settings.reload_interval_s or None
            try:
                wish = self._inbox.get(timeout=interval_s if retired is None else _LET_GO_S)
            except queue.Empty:
                if retired is None:
                    return ""
                retired = None
                give_back_freed_memory()
                continue
            if not isinstance(wish, Predictor):
                return wish
            retired, wish = wish, ""

    def look(self, *, asked: bool = False) -> None:
        """Look once, and load what is new, or whatever is there where it is asked for."""
        with self._deadline:
            self._look(asked=asked)
        self._metrics.reload_last_look_s.labels(self._role).set(time.time())

    def _look(self, *, asked: bool) -> None:
        now = appearance(self._settings.path, self._settings.policy_path)
        if not (asked or now != self._seen or time.monotonic() >= self._retry_at):
            return
        fault = self._load()
        after = appearance(self._settings.path, self._settings.policy_path)
        if fault is not None and after != now:
            # They were being written meanwhile: the next look reads what came of it.
            self._seen = now
            return
        self._seen = now
        self._settle(fault)

    def _load(self) -> str | None:
        """Offer what the files hold where it is new; return what is wrong with it."""
        started = time.monotonic()
        try:
            loaded = Loaded.read(self._settings)
            found = (loaded.bundle.digest, loaded.policy)
            if found == self._in_use:
                self._metrics.reloads.labels(self._role, "unchanged").inc()
                return None
            self._refuse_same_name(loaded)
            self._accepts(loaded)
            if (stuck := self._stuck.get(loaded.bundle.digest)) is not None:
                return stuck
            predictor = self._built(loaded)
        except (BundleError, PolicyError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  whatever a new bundle does to its loaders, the old one goes on
            return (
                f"{self._settings.path}: {type(error).__name__}: {error}; expected a bundle that loads; export it again"
            )
        load_s = round(time.monotonic() - started, 2)
        log.info("model_loaded", role=self._role, **predictor.logged(), load_s=load_s)
        self._in_use = found
        self._offer(predictor)
        return None

    def _built(self, loaded: Loaded) -> Predictor:
        try:
            return build_predictor(loaded, self._settings)
        except ModelStuck as stuck:
            self._stuck[loaded.bundle.digest] = (
                f"{stuck}; its inferences were left behind, so it is not tried again; restart the worker, with another "
                "bundle"
            )
            raise BundleError(self._stuck[loaded.bundle.digest]) from stuck

    def _refuse_same_name(self, loaded: Loaded) -> None:
        """Refuse another policy file under the name of the one in use: readers of verdicts could not tell them apart.

        A bundle's own default policy is told apart by the bundle's digest.

        Raises:
            PolicyError: it is that.
        """
        if self._in_use is None or self._settings.policy_path is None:
            return
        old, new = self._in_use[1], loaded.policy
        of_one_name = (new.taxonomy, new.name, new.version) == (old.taxonomy, old.name, old.version)
        if new != old and of_one_name:
            raise PolicyError(
                f"{self._settings.policy_path}: another policy under the name and version in use, {old.name} "
                f"{old.version}; expected a new version, by which readers of verdicts tell them apart; raise `version`"
            )

    def _settle(self, fault: str | None) -> None:
        self._metrics.reload_failed.labels(self._role).set(fault is not None)
        self._retry_at = float("inf") if fault is None else time.monotonic() + RETRY_S
        if fault is not None:
            self._metrics.reloads.labels(self._role, "refused").inc()
            if fault != self._fault:
                log.error("reload_refused", role=self._role, error=fault)
        elif self._fault is not None:
            log.info("reload_fault_gone", role=self._role)
        self._fault = fault

    def _on_overdue(self) -> None:
        self._metrics.reload_failed.labels(self._role).set(1)
        self._metrics.reloads.labels(self._role, "overdue").inc()
        log.error(
            "reload_overdue",
            role=self._role,
            error=f"{self._settings.path}: a look at bundle and policy has taken {self._deadline_s:g} s and goes on; "
            "the model in use stays; check the volume (does `ls` answer there?); a restart looks anew",
        )

    def _on_overdue_end(self) -> None:
        self._metrics.reload_failed.labels(self._role).set(self._fault is not None)
        log.info("reload_overdue_end", role=self._role)
