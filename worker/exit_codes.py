"""How the commands end, for shells and orchestrators."""

import os
import sys
from typing import Final, NoReturn

EXIT_UNEXPECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_FATAL: Final = 3
EXIT_NOT_CACHED: Final = 5
EXIT_CACHE_AWAY: Final = 6
EXIT_STOPPED_EARLY: Final = 7
EXIT_RECORDS_LOST: Final = 8
EXIT_NOT_BALANCED: Final = 9


def exit_now(code: int) -> NoReturn:
    """End without joining client threads, which may wait for a broker that is away."""
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)
