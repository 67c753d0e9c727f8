"""What can be wrong with a line: slow, lossy, narrow, silent. Pure but for the dice."""

import random
from dataclasses import dataclass
from typing import Final

_PACKET_BYTES: Final = 1_460
"""Payload of one TCP segment on an Ethernet; a loss hits one of them."""


@dataclass(frozen=True, slots=True)
class LinkFaults:
    """The state of a line; each value holds for either direction.

    Attributes:
        latency_s: Added on the way.
        jitter_s: How far the latency strays to either side.
        loss_ratio: Share of packets that get lost, 0 to 1. TCP sends them again: all behind a lost one wait `resend_s`.
        resend_s: How long a lost packet takes to be sent again.
        bytes_per_s: Bandwidth; None has no limit.
        is_silent: Nothing arrives and nobody is told: connections stay open, as after a power cut.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    loss_ratio: float = 0.0
    resend_s: float = 0.2
    bytes_per_s: float | None = None
    is_silent: bool = False

    def delay_s(self, n_bytes: int, dice: random.Random) -> float:
        """Return how long these bytes are under way, without the time that the bandwidth takes."""
        found = max(0.0, self.latency_s + dice.uniform(-self.jitter_s, self.jitter_s))
        n_packets = -(-n_bytes // _PACKET_BYTES)
        n_lost = sum(dice.random() < self.loss_ratio for _ in range(n_packets)) if self.loss_ratio else 0
        return found + n_lost * self.resend_s

    def sending_s(self, n_bytes: int) -> float:
        """Return how long the line is taken by these bytes."""
        return n_bytes / self.bytes_per_s if self.bytes_per_s else 0.0


HEALTHY: Final = LinkFaults()
