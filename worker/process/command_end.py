"""How a command ends that goes wrong while its clients are open: the line that it leaves, and its exit code."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from worker.errors import Fatal, SettingsError
from worker.process.lifecycle import EXIT_FATAL, EXIT_UNEXPECTED, EXIT_USAGE, exit_now
from worker.process.masking import masked

log = structlog.get_logger()


@contextmanager
def errors_end_the_process(name: str, *also_fatal: type[Exception]) -> Iterator[None]:
    """End the process by `exit_now` with whatever error leaves the block.

    Args:
        name: Begins the events that are logged: `NAME_fatal`, `NAME_crashed`.
        *also_fatal: Errors that end it as `Fatal` does.
    """
    fatal, crashed = f"{name}_fatal", f"{name}_crashed"
    fatal_errors: tuple[type[Exception], ...] = (Fatal, *also_fatal)
    try:
        yield
    except SettingsError as error:
        sys.stderr.write(f"error: settings: {masked(str(error))}\n")
        exit_now(EXIT_USAGE)
    except fatal_errors as error:
        log.error(fatal, error=str(error), exit_code=EXIT_FATAL)  # noqa: TRY400  (its text says it all)
        exit_now(EXIT_FATAL)
    except Exception:
        log.exception(crashed, exit_code=EXIT_UNEXPECTED)
        exit_now(EXIT_UNEXPECTED)
