"""Notice a new bundle or policies, verify and build it beside the running one, and offer it.

Invariant: whatever is wrong with the new files, the predictor in use stays; the fault is logged once, counted each time
it is met, and shown by a gauge until the files are right again. A look that does not end is a fault, too. A file of the
folder of policies that is refused costs its own policy alone.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Literal

import structlog

from model import BundleError, PolicyError, load_bundle
from model.policies.folder import NOTHING_READ, refuse_same_version
from worker.predictor import Loaded, ModelStuck, Predictor, build_predictor
from worker.process.metrics import Metrics
from worker.process.tuning import be_nice, give_back_freed_memory
from worker.reload.deadline import Deadline
from worker.reload.file_signature import Appearance, appearance
from worker.reload.verdict_size import refused_for_size
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


def _what(loaded: Loaded) -> tuple[str, str]:
    """Return what names a bundle under its policies: two digests."""
    return loaded.bundle.digest, loaded.policies.digest


def accept_all(_: Loaded) -> None:
    """Refuse nothing."""


class ReloadWatcher:
    """Looks after one predictor in a thread of its own.

    Args:
        settings: Paths, inference settings and the interval.
        loaded: What the predictor in use was built from; None where there is none yet.
        seen: How the files looked before they were read; None lets the first look load them.
        offer: Takes a new predictor.
        newest: Gives the predictor that was offered last: one of the same bundle is not built again.
        metrics: Where outcomes are counted.
        role: Whose predictor it is.
        niceness: Of the thread and of the sessions' threads that it builds, 0..19.
        inbox: What wakes the thread; whoever swaps predictors puts the old one here, to be dropped outside the loop.
        deadline_s: Longest time of a look before it is told of.
        accepts: Refuses what the rest of the settings cannot serve.
        may_hold: Whether blocks are remembered; else each policy of the folder that holds is refused by itself.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        loaded: Loaded | None,
        seen: Appearance | None,
        offer: Callable[[Predictor], None],
        metrics: Metrics,
        newest: Callable[[], Predictor | None] = lambda: None,
        role: Role = "live",
        niceness: int = 0,
        inbox: Inbox | None = None,
        deadline_s: float = DEADLINE_S,
        accepts: Accepts = accept_all,
        may_hold: bool = True,
    ) -> None:
        self._accepts = accepts
        self._may_hold = may_hold
        self._settings = settings
        self._seen = seen
        self._in_use = _what(loaded) if loaded is not None else None
        self._policy = loaded.policy if loaded is not None else None
        self._folder = loaded.folder if loaded is not None else NOTHING_READ
        self._offer = offer
        self._newest = newest
        self._room_bytes: int | None = None
        self._metrics = metrics
        self._role = role
        self._niceness = niceness
        self._fault: str | None = None
        self._refused: Mapping[str, str] = {}
        """By file name: what was wrong with files of the folder of policies when they were looked at last."""
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
        self._tell_refused(self._folder.refused)

    def limit_verdicts(self, room_bytes: int) -> None:
        """From now on refuse policies with which a verdict could become longer. Before `start`.

        Args:
            room_bytes: Bytes that a verdict may have.
        """
        self._room_bytes = room_bytes

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
        now = self._appearance()
        if not (asked or now != self._seen or time.monotonic() >= self._retry_at):
            return
        seen = None if asked or self._fault is not None else self._seen
        is_same_bundle = seen is not None and now.bundle == seen.bundle
        fault = self._load(is_same_bundle=is_same_bundle)
        after = self._appearance()
        if fault is not None and after != now:
            # They were being written meanwhile: the next look reads what came of it.
            self._seen = now
            return
        self._seen = now
        self._settle(fault)

    def _appearance(self) -> Appearance:
        return appearance(self._settings.path, self._settings.policy_path, self._settings.policies_dir)

    def _load(self, *, is_same_bundle: bool) -> str | None:
        """Offer what the files hold where it is new; return what is wrong with it.

        Args:
            is_same_bundle: Whether the bundle's files are those that were read last.
        """
        started = time.monotonic()
        try:
            newest = self._newest()
            loaded = self._read(newest if is_same_bundle else None)
            found = _what(loaded)
            if found == self._in_use:
                self._folder = loaded.folder
                self._tell_refused(loaded.folder.refused)
                self._metrics.reloads.labels(self._role, "unchanged").inc()
                return None
            self._refuse_same_name(loaded)
            self._accepts(loaded)
            if (stuck := self._stuck.get(loaded.bundle.digest)) is not None:
                return stuck
            if newest is not None and newest.builder.model.digest == loaded.bundle.digest:
                # Another policy costs no inference session.
                predictor = newest.under(loaded.policies)
            else:
                predictor = self._built(loaded)
        except (BundleError, PolicyError) as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  whatever a new bundle does to its loaders, the old one goes on
            return (
                f"{self._settings.path}: {type(error).__name__}: {error}; expected a bundle that loads; export it again"
            )
        load_s = round(time.monotonic() - started, 2)
        log.info("model_loaded", role=self._role, **predictor.logged(), load_s=load_s)
        self._in_use, self._policy, self._folder = found, loaded.policy, loaded.folder
        self._tell_refused(loaded.folder.refused)
        self._offer(predictor)
        return None

    def _read(self, of_same_bundle: Predictor | None) -> Loaded:
        """Read bundle and policies, or the policies alone where the bundle has not changed.

        Raises:
            BundleError, PolicyError: what `Loaded.read` raises.
        """
        settings = self._settings
        if of_same_bundle is None:
            bundle = load_bundle(settings.path, public_key=settings.public_key_file)
        else:
            bundle = of_same_bundle.classifier.bundle
        loaded = Loaded.over(bundle, settings, before=self._folder, may_hold=self._may_hold)
        if self._room_bytes is None or settings.policies_dir is None:
            return loaded
        in_use = {policy.name for policy in self._folder.policies.values()}
        refused = refused_for_size(loaded, self._room_bytes, in_use)
        return replace(loaded, folder=loaded.folder.without(refused)) if refused else loaded

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
        if self._settings.policy_path is not None:
            refuse_same_version(loaded.policy, self._policy, self._settings.policy_path)

    def _settle(self, fault: str | None) -> None:
        self._metrics.reload_failed.labels(self._role).set(fault is not None)
        is_well = fault is None and not self._refused
        self._retry_at = float("inf") if is_well else time.monotonic() + RETRY_S
        if fault is not None:
            self._metrics.reloads.labels(self._role, "refused").inc()
            if fault != self._fault:
                log.error("reload_refused", role=self._role, error=fault)
        elif self._fault is not None:
            log.info("reload_fault_gone", role=self._role)
        self._fault = fault

    def _tell_refused(self, refused: Mapping[str, str]) -> None:
        """Show how many files of the folder of policies are refused, and log each fault once."""
        if self._settings.policies_dir is None:
            return
        self._metrics.policies_refused.set(len(refused))
        for file_name, fault in refused.items():
            if self._refused.get(file_name) != fault:
                log.error("policy_refused", file=file_name, error=fault)
        for file_name in self._refused.keys() - refused.keys():
            log.info("policy_fault_gone", file=file_name)
        self._refused = refused

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
