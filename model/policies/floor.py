"""The floor: categories that no policy may allow, decided by a rule of its own before every policy.

It applies to policies that ban nothing, too. Where it says `block` nobody lifts that; where it says `review` it only
takes `allow` away.
"""

from typing import Final

from schemas import Policy, Taxonomy

FLOOR_NAME: Final = "floor"
FLOOR_VERSION: Final = "1"

MAX_BANNED_TO_SAFE_RATE: Final = 0.1
MAX_SAFE_TO_BANNED_RATE: Final = 0.005
"""Of the 1,395 calibration chats of the shipped bundle no decision of its default policy changes at these rates: what
the floor adds is for policies that ban less. At .05 and .01 it would be 26, at .1 and .01 twelve."""


def floor_policy(taxonomy: Taxonomy, more: frozenset[str] = frozenset()) -> Policy | None:
    """Return the floor as a policy; None where there is none.

    Args:
        taxonomy: Its own floor counts.
        more: What the operator adds.
    """
    codes = taxonomy.floor | more
    if not codes:
        return None
    return Policy(
        name=FLOOR_NAME,
        version=FLOOR_VERSION,
        taxonomy=taxonomy.name,
        banned=codes,
        max_banned_to_safe_rate=MAX_BANNED_TO_SAFE_RATE,
        max_safe_to_banned_rate=MAX_SAFE_TO_BANNED_RATE,
    )
