"""The rates at which samples are drawn on a day: made once, of the counts of the day before, and kept with the counts.

The first console that needs a stratum's rate writes it; what is counted late of the day before changes it no more.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from console.review.arriving import moment_ms
from console.review.sampling import RATE_UNITS, Stratum, rates_for, strata_of
from console.store.counting import DAY_MS, Counted, set_once, totals
from schemas import Verdict

RATE: Final = "rate"
"""`what` of a stratum's rate in `counts`, at the day's first hour; `n` is in parts of RATE_UNITS."""


class DayRates:
    """The rates that are known by now; `forget` them after a transaction that was rolled back.

    Args:
        per_stratum: How many are to be drawn of each stratum in a day.
    """

    def __init__(self, per_stratum: int) -> None:
        self._per_stratum = per_stratum
        self._known: dict[int, dict[Stratum, float]] = {}

    def learn(self, connection: Connection, verdicts: Iterable[Verdict]) -> None:
        """Make sure that the rates for some verdicts are known, in the caller's transaction."""
        wanted: dict[int, set[Stratum]] = {}
        for verdict in verdicts:
            wanted.setdefault(day_of(verdict), set()).update(strata_of(verdict))
        for day, strata in sorted(wanted.items()):
            known = self._known.setdefault(day, {})
            if new := strata - known.keys():
                known |= self._settled(connection, day, new)
        for day in sorted(self._known)[:-2]:
            del self._known[day]

    def forget(self) -> None:
        """Take that a transaction was rolled back, and what it wrote of rates with it."""
        self._known.clear()

    def of(self, verdict: Verdict) -> dict[Stratum, float]:
        """Return the rates of a verdict's strata, which `learn` has been told of."""
        known = self._known.get(day_of(verdict), {})
        return {stratum: known[stratum] for stratum in strata_of(verdict)}

    def _settled(self, connection: Connection, day: int, strata: set[Stratum]) -> dict[Stratum, float]:
        before = {
            Stratum(policy, *key.split("/", 1)): n
            for (_, policy, key), n in totals(connection, ["stratum"], since_ms=day - DAY_MS, until_ms=day).items()
        }
        rates = rates_for(strata, before, per_stratum=self._per_stratum)
        rows = {
            Counted(day, RATE, stratum.policy, stratum.key): round(rates[stratum] * RATE_UNITS) for stratum in strata
        }
        set_once(connection, rows)
        stands = totals(connection, [RATE], since_ms=day, until_ms=day + DAY_MS)
        return {stratum: stands[RATE, stratum.policy, stratum.key] / RATE_UNITS for stratum in strata}


def day_of(verdict: Verdict) -> int:
    """Return the beginning of the day, UTC, on which a verdict was decided."""
    at_ms = moment_ms(verdict)
    return at_ms - at_ms % DAY_MS
