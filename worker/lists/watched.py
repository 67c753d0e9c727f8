"""Follow the file of lists: a change counts from the next batch on, a bad file changes nothing.

Invariant: whatever is wrong with the file, the last good lists count; a gauge and a log line say so.
"""

from contextlib import ExitStack
from pathlib import Path

import structlog

from schemas import CodecLimits, ValueFormat
from worker.errors import SettingsError
from worker.lists.list_file import Lists, read_lists
from worker.lists.source import ListSource
from worker.process.metrics import Metrics
from worker.process.periodic import Periodic
from worker.settings.lists import ListSettings
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

_Look = tuple[int, int, int, int, int] | None
"""Device, inode, size, modification and change time in ns; None where nothing can be seen."""


class WatchedLists:
    """The lists as the file has them, or had them when it was last right.

    Args:
        settings: How users are known.
        path: The file.
        metrics: Where entries and faults are shown.

    Raises:
        SettingsError: the file is bad at the start already.
    """

    def __init__(self, settings: ListSettings, path: Path, metrics: Metrics) -> None:
        self._settings = settings
        self._path = path
        self._metrics = metrics
        self._seen = _look_at(path)
        self._lists = read_lists(settings, path)
        self._fault: str | None = None
        self._show()

    def newest(self) -> Lists:
        """Return the lists that count now."""
        return self._lists

    def look(self) -> None:
        """Read the file again where it looks another than before, or could not be read; raises nothing."""
        seen = _look_at(self._path)
        # The fault may lie with the volume: the file then looks the same when it can be read again.
        if seen == self._seen and self._fault is None:
            return
        try:
            lists = read_lists(self._settings, self._path)
        except SettingsError as error:
            self._refuse(str(error))
            return
        self._seen, self._lists, self._fault = seen, lists, None
        self._show()
        log.info("lists_loaded", n_denied=lists.deny.n_entries, n_allowed=lists.allow.n_entries)

    def _refuse(self, fault: str) -> None:
        self._metrics.lists_failed.set(1)
        if fault != self._fault:
            self._fault = fault
            log.error("lists_refused", error=fault, consequence="the lists of before go on counting")

    def _show(self) -> None:
        self._metrics.lists_failed.set(0)
        self._metrics.list_entries.labels(list="deny").set(self._lists.deny.n_entries)
        self._metrics.list_entries.labels(list="allow").set(self._lists.allow.n_entries)


def follow_lists(settings: WorkerSettings, metrics: Metrics, stack: ExitStack) -> ListSource | None:
    """Read the lists, where a file is set, and follow it until the stack unwinds.

    Raises:
        SettingsError: the file is bad: a worker that starts without its deny list would let ads through.
    """
    path = settings.lists.path
    if path is None:
        return None
    watched = WatchedLists(settings.lists, path, metrics)
    stack.callback(Periodic("lists", settings.lists.reload_interval_s, [watched.look]).close)
    return source_of(settings.lists, watched, metrics, settings.codec, settings.kafka.value_format)


def source_of(
    settings: ListSettings, watched: WatchedLists, metrics: Metrics, limits: CodecLimits, value_format: ValueFormat
) -> ListSource:
    """Return what asks these lists."""
    return ListSource(watched.newest, metrics, user_field=settings.user_field, limits=limits, value_format=value_format)


def _look_at(path: Path) -> _Look:
    """Return how the file looks, links followed: Kubernetes swaps a link where it mounts a ConfigMap."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
