"""Space out the requests to one endpoint: a rate limit, and a pause when the endpoint asks for one.

Invariant: two turns are at least `60 / requests_per_minute` seconds apart, and no turn falls into a pause.
"""

import asyncio


class Pacer:
    """Gives out turns in order, for tasks of one event loop.

    Args:
        requests_per_minute: Turns a minute; None does not space them.
    """

    def __init__(self, requests_per_minute: float | None) -> None:
        self._interval_s = 0.0 if requests_per_minute is None else 60.0 / requests_per_minute
        self._next_turn = 0.0

    async def turn(self) -> None:
        """Wait for a turn."""
        loop = asyncio.get_running_loop()
        # A pause may move the turn while this task sleeps, so it looks again; there is no event to wait for but time.
        while (wait_s := self._next_turn - loop.time()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s)
        self._next_turn = loop.time() + self._interval_s

    def pause(self, seconds: float) -> None:
        """Hold all turns back for this long from now."""
        self._next_turn = max(self._next_turn, asyncio.get_running_loop().time() + seconds)
