"""What a model card says a bundle is for, and what its calibration promises under its default policy."""

from typing import Final

from model.bundle.manifest import Thresholds
from model.bundle.thresholds import CalibrationSize
from schemas import CHAT_13, Policy, Taxonomy

_CHATS: Final = """\
Classifies a conversation with an AI assistant into one of {n} categories (taxonomy {taxonomy}), for the question
whether an ad may be shown in it.

## Intended use

Ad placement: `allow`, `review` or `block` per conversation, under a policy that names the banned categories (by
default {banned}). Not intended for judging people, for moderating what users may write, or for any decision about a
person.
"""

_TEXTS: Final = """\
Classifies a conversation, or a single message, into one of the {n} categories of taxonomy {taxonomy}: {names}.
{subject}
## Intended use

{use} Not intended for any decision about a person.
"""

_DECIDES: Final = """\
`allow`, `review` or `block` per conversation, under a policy that names the banned categories (by default {banned})."""

_NAMES_ONLY: Final = "Its categories. The default policy bans nothing, so that every conversation gets `allow`."

_GUARANTEE: Final = """\
{scaling}, fitted on a part of the held-out conversations; the other {n_calibration} ({n_banned}
banned, {n_safe} safe) are in calibration.json and chose nothing. `banned_to_safe_risk` is a conformal p-value over
them: if a banned conversation is exchangeable with those, the chance that it is answered `allow` is at most the
policy's target ({allow_target:.1%} by default, on average over calibration sets). The bound on safe conversations
answered `block` ({block_target:.1%} by default) is of the same kind. Neither holds for a single category, nor once
traffic differs from the sources above: then calibrate on labelled conversations of that traffic. Under the default
policy: allow up to a banned probability of {allow_up_to}, block from {block_from}.
"""

_NOT_CALIBRATED: Final = """\
{scaling}. No guarantee: the held-out conversations hold no banned or no safe one, so that both risks are 1.0 and every
conversation is answered `review`. Calibrate on more labelled conversations.
"""

_NOTHING_BANNED: Final = """\
{scaling}, fitted on a part of the held-out conversations; the other {n_calibration} are in calibration.json and chose
nothing. The default policy bans nothing, so there is no guarantee to give; a policy that bans categories gets one from
the same conversations.
"""


def purpose(taxonomy: Taxonomy, policy: Policy) -> str:
    """Return what the bundle does and is meant for, Markdown."""
    banned = ", ".join(_labelled(code, taxonomy) for code in sorted(policy.banned))
    numbers = {"n": len(taxonomy.codes), "taxonomy": taxonomy.ref, "banned": banned}
    if taxonomy.name == CHAT_13.name and policy.banned:
        return _CHATS.format(**numbers)
    return _TEXTS.format(
        **numbers,
        names=", ".join(_labelled(code, taxonomy) for code in taxonomy.codes),
        subject=f"\nWhat is classified: {taxonomy.subject}.\n" if taxonomy.subject else "",
        use=_DECIDES.format(**numbers) if policy.banned else _NAMES_ONLY,
    )


def calibration_section(scaling: str, thresholds: Thresholds, size: CalibrationSize, policy: Policy) -> str:
    """Return what the calibration promises, Markdown.

    Args:
        scaling: How the logits are scaled.
        thresholds: Operating points of the default policy.
        size: Of calibration.json, and what it suffices for.
        policy: The bundle's default policy.
    """
    n_calibration = size.n_banned + size.n_safe
    if not policy.banned:
        return _NOTHING_BANNED.format(scaling=scaling, n_calibration=n_calibration)
    if n_calibration == 0:
        return _NOT_CALIBRATED.format(scaling=scaling)
    text = _GUARANTEE.format(
        scaling=scaling,
        n_calibration=n_calibration,
        n_banned=size.n_banned,
        n_safe=size.n_safe,
        allow_target=policy.max_banned_to_safe_rate,
        block_target=policy.max_safe_to_banned_rate,
        allow_up_to=thresholds.allow_up_to,
        block_from=thresholds.block_from,
    )
    return text if size.is_enough else "\n".join([text, *size.sentences(), ""])


def _labelled(code: str, taxonomy: Taxonomy) -> str:
    name = taxonomy.names[code]
    return code if name == code else f"{code} {name}"
