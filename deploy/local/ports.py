"""Choose free TCP ports on the loopback interface.

Ports come from below the ephemeral range of Linux (32768 on) and macOS (49152 on). A stopped
service keeps its port number for the restart, and there the kernel hands it to no outgoing
connection in the meantime; a client that retries cannot connect to itself either, which happens on
ephemeral ports and looks like a broker that talks nonsense.

Invariant: the ports of one call are distinct and were all free at the same moment.
"""

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"
_FIRST_PORT = 20_000
_LAST_PORT = 32_767
_MAX_TRIES = 1_000


def free_ports(n_ports: int) -> list[int]:
    """Return `n_ports` distinct ports that were free just now.

    Raises:
        OSError: No free port turned up in 1,000 tries.
    """
    chosen: list[int] = []
    with contextlib.ExitStack() as held:
        for _ in range(_MAX_TRIES):
            if len(chosen) == n_ports:
                return chosen
            candidate = random.randint(_FIRST_PORT, _LAST_PORT)  # noqa: S311 - spreads load, no secret
            probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            try:
                probe.bind((LOOPBACK, candidate))
            except OSError:
                continue
            chosen.append(candidate)
    raise OSError(
        f"found {len(chosen)} free ports of {n_ports} wanted in {_FIRST_PORT}..{_LAST_PORT} on "
        f"{LOOPBACK}; stop other services and run again"
    )


def is_listening(port: int, *, timeout_s: float = 0.2) -> bool:
    """Say whether something accepts connections on the loopback `port`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False
