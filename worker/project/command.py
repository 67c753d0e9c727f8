"""`python -m worker project`: the options, and how it ends."""

import os
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Final

import orjson
import structlog
import typer
from rich.console import Console

from worker.cache.connection import connect
from worker.cache.verdict_cache import RedisVerdictCache
from worker.errors import Degraded, SettingsError
from worker.kafka.probe import open_admin
from worker.process import logs
from worker.process.command_end import errors_end_the_process
from worker.process.lifecycle import (
    EXIT_CACHE_AWAY,
    EXIT_STOPPED_EARLY,
    Lifecycle,
    exit_now,
)
from worker.process.metrics import Metrics
from worker.process.read_progress import ReadProgress
from worker.project.account import Projected
from worker.project.run import Projection, Stopped
from worker.project.topics import OutputTopicsReader
from worker.settings.options import ConfigOption, parse_time
from worker.settings.source import usable_settings
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

_REDIS_TIMEOUT_S: Final = 2.0
"""Nobody's verdict waits for it."""


def project(
    *,
    config: ConfigOption = None,
    from_time: Annotated[
        datetime | None,
        typer.Option(
            parser=parse_time,
            help="Read what was published since.",
            show_default="the cache's TTL ago, or since the dead letters are complete",
        ),
    ] = None,
) -> None:
    """Write what the topics say into Redis: fills an empty one, repairs a stale one; ends by itself.

    Reads verdicts and dead letters, committed ones only, up to where the topics end now. Each chat's newest outcome is
    written by the workers' own compare-and-set, with the TTL that is left: what is newer in Redis stays, and workers
    may run meanwhile. A time before which dead letters were deleted is refused: their chats' older verdicts would come
    back. Prints progress and, last, one JSON line.

    Exit codes: 0 done; 1 unexpected error; 2 wrong usage or settings, or a refused --from-time; 3 fatal; 4 stopped by
    force; 6 Redis takes no writes; 7 stopped before the end. Run it again after any of them: what is written stays.
    """
    settings = usable_settings(os.environ, config)
    if settings.redis.url is None:
        raise SettingsError("MODERATION_REDIS__URL is not set; expected the address of the verdict cache")
    console = Console(stderr=True)
    logs.configure("warning" if console.is_terminal and settings.log.level == "info" else settings.log.level)
    lifecycle = Lifecycle(grace_s=settings.shutdown_grace_s)
    lifecycle.install()
    with errors_end_the_process("project"):
        try:
            account = _project(settings, from_time, lifecycle, console)
        except Degraded as error:
            log.error("project_cache_away", error=str(error), exit_code=EXIT_CACHE_AWAY)  # noqa: TRY400  (its text says it all)
            exit_now(EXIT_CACHE_AWAY)
        except Stopped:
            log.warning("project_stopped", exit_code=EXIT_STOPPED_EARLY)
            exit_now(EXIT_STOPPED_EARLY)
    sys.stdout.write(orjson.dumps(account.line()).decode() + "\n")
    exit_now(0)


def _project(settings: WorkerSettings, from_time: datetime | None, lifecycle: Lifecycle, console: Console) -> Projected:
    began_s, now_ms = time.monotonic(), int(time.time() * 1_000)
    metrics = Metrics()
    cache = RedisVerdictCache(connect(settings.redis, timeout_s=_REDIS_TIMEOUT_S), settings.redis, metrics)
    # Before an hour of reading: Degraded where it does not answer.
    cache.sources([""])
    topics = OutputTopicsReader(open_admin(settings.kafka), settings.kafka)
    account = _begun(settings, from_time, topics.dead_letters_complete_from_ms(now_ms), now_ms)
    ranges = topics.ranges(account.from_ms)
    verdict_topic = settings.kafka.verdict_topic
    # The verdicts are read twice.
    n_offsets = sum(one.n_offsets * (2 if one.topic == verdict_topic else 1) for one in ranges)
    log.info("project_begun", from_ms=account.from_ms, n_offsets=n_offsets, n_partitions=len(ranges))
    with ReadProgress("project", console, n_offsets, _write_line) as shown:
        Projection(settings, cache, metrics, account, stop=lifecycle.stopping.wait, progressed=shown.progressed).run(
            ranges
        )
    cache.close()
    account.duration_s = time.monotonic() - began_s
    return account


def _begun(settings: WorkerSettings, from_time: datetime | None, complete_from_ms: int, now_ms: int) -> Projected:
    """Decide where to begin.

    Raises:
        SettingsError: dead letters of the time that is asked for were deleted.
    """
    if from_time is None:
        return Projected(max(now_ms - settings.redis.ttl_s * 1_000, complete_from_ms), complete_from_ms)
    from_ms = int(from_time.timestamp() * 1_000)
    if from_ms < complete_from_ms:
        first = datetime.fromtimestamp(complete_from_ms / 1_000, UTC)
        raise SettingsError(
            f"--from-time {from_time.isoformat()}: dead letters of {settings.kafka.dead_letter_topic} from before "
            f"{first.isoformat(timespec='milliseconds')} were deleted, and with them the word that a chat's verdict no "
            "longer holds; expected that time or a later one; leave the option away for the earliest"
        )
    return Projected(from_ms, complete_from_ms)


def _write_line(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
