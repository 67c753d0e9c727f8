"""Decode cached verdicts whose decisions are many: what one policy says is decoded once and not with each verdict.

A cached verdict is decided anew, or its decisions are compared with what is decided anew: they need no more than to be
what a verdict may hold.

Invariant: what is no verdict by `schemas.decode_verdict` is none here, and raises the same.
"""

from functools import lru_cache
from typing import Final

from pydantic import TypeAdapter, ValidationError

from schemas import EncodedDecision, PolicyDecision, SharedDecisions, Verdict, decode_verdict

_BEGIN: Final = b'"decisions":{'
_END: Final = b'},"policy":{"name":"'
_BETWEEN: Final = b'},"'
_SHORT_BYTES: Final = 400
"""Up to this, decisions of four policies, nothing is gained."""
_LONGEST_MEMBER_BYTES: Final = 600
_ONE: Final = TypeAdapter(dict[str, PolicyDecision])


def decode_cached_verdict(raw: bytes) -> Verdict:
    """Decode a verdict as this version writes it, or in any other way.

    Raises:
        pydantic.ValidationError: the bytes are not a Verdict.
    """
    begin = raw.find(_BEGIN) + len(_BEGIN)
    end = raw.find(_END, begin)
    if begin < len(_BEGIN) or end - begin < _SHORT_BYTES:
        return decode_verdict(raw)
    try:
        members = _members(raw[begin:end])
        shared = SharedDecisions([_decoded(member) for member in members])
        # The first is the default policy's, without which a verdict is none.
        verdict = decode_verdict(b"%b%b%b" % (raw[:begin], members[0], raw[end:]))
    except (ValidationError, ValueError):
        return decode_verdict(raw)
    # The model is frozen for others, not for its maker.
    vars(verdict)["decisions"] = shared
    return verdict


def _members(written: bytes) -> list[bytes]:
    """Return name and value of each policy; of a name that looks like a border, something that is no decision."""
    first, *others = written.split(_BETWEEN)
    members = [first, *(b'"%b' % other for other in others)]
    return [*(b"%b}" % member for member in members[:-1]), members[-1]]


def _decoded(member: bytes) -> EncodedDecision:
    if len(member) > _LONGEST_MEMBER_BYTES:
        raise ValueError("longer than what a policy says")
    return _kept(member)


@lru_cache(maxsize=4_096)
def _kept(member: bytes) -> EncodedDecision:
    ((policy, decision),) = _ONE.validate_json(b"{%b}" % member).items()
    return EncodedDecision(policy, decision, member)
