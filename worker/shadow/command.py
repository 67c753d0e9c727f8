"""`python -m worker shadow-report`: how far the shadow agrees, before it is promoted."""

import os
import sys
from datetime import datetime
from typing import Annotated

import orjson
import typer
from rich.console import Console

from worker.moves.comparison import Comparison
from worker.process import logs
from worker.settings.options import ConfigOption, parse_time
from worker.settings.source import read_settings
from worker.shadow.report import compare_topics, print_agreement

EXIT_DISAGREES = 1


def shadow_report(
    *,
    config: ConfigOption = None,
    from_time: Annotated[
        datetime | None, typer.Option(parser=parse_time, help="First verdict's time.", show_default="all there are")
    ] = None,
    to_time: Annotated[
        datetime | None, typer.Option(parser=parse_time, help="Time to stop before.", show_default="now")
    ] = None,
    shadow_model: Annotated[
        str, typer.Option(help="First digits of the digest.", show_default="the one that judged last")
    ] = "",
    min_agreement: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit with 1 where categories or decisions agree less often.")
    ] = None,
) -> None:
    """Compare the shadow's verdicts with the live ones on the same events; prints tables and, last, one JSON line.

    A live verdict counts where it was classified (no cache hit, no replay) and belongs to `shadow.sample_ratio`. The
    shadow is a little behind: without --to-time the newest verdicts may count as missing.

    Exit codes: 0 done; 1 less agreement than asked for, or nothing to compare; 2 wrong usage or settings; 3 fatal.
    """
    settings = read_settings(os.environ, config)
    logs.configure("warning" if settings.log.level == "info" else settings.log.level)
    comparison = Comparison(settings.shadow.sample_ratio)
    compare_topics(settings.kafka, comparison, since_ms=_ms(from_time), until_ms=_ms(to_time))
    agreement = comparison.agreement(shadow_model)
    print_agreement(agreement, Console())
    agrees = min_agreement is None or agreement.reaches(min_agreement)
    sys.stdout.write(
        orjson.dumps(agreement.line() | {"min_agreement": min_agreement, "agrees": agrees}).decode() + "\n"
    )
    sys.stdout.flush()
    if not agrees:
        raise typer.Exit(EXIT_DISAGREES)


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1_000)
