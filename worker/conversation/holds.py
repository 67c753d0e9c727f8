"""What earlier blocks mean for an event, and what is left of them after it: pure.

Time is the record's, so that whoever reads the same partition comes to the same decisions, however late.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from model.policies.policy_set import PolicySet
from schemas import DecidedBy, Decision, Policy, PolicyDecision, PreviousDecision, Verdict
from schemas.conversation_state import ConversationState, HeldBlock
from worker.record import Record

Holding = Mapping[str, Policy]
"""By name, the policies that hold what they blocked."""

_NOT_OF_THE_POLICY: Final = frozenset({DecidedBy.OVERRIDE, DecidedBy.DENY_LIST})
"""Who blocks for as long as he says so; that lasts by itself and needs no hold."""


def holding(policies: PolicySet | None) -> dict[str, Policy]:
    """Return the policies that hold what they blocked, by name."""
    rules = () if policies is None else policies.rules
    return {rule.policy.name: rule.policy for rule in rules if rule.policy.hold_block_s > 0}


def happened_ms(record: Record, now: datetime) -> int:
    """Return when an event happened, ms since the epoch: when its record was written.

    A record without a usable timestamp, or with one in the future, counts as written now: one wrong clock upstream
    would else hold a chat for years.
    """
    now_ms = milliseconds(now)
    written_ms = record.written_ms
    return now_ms if written_ms is None else min(written_ms, now_ms)


def milliseconds(time: datetime) -> int:
    """Return a time as ms since the epoch, rounded down."""
    return int(time.timestamp() * 1_000)


def _ends_ms(block: HeldBlock, policy: Policy) -> int:
    """Return when a hold is over: when it was said, or earlier where the policy holds for a shorter time by now."""
    return min(block.until_ms, block.at_ms + _hold_ms(policy))


def _hold_ms(policy: Policy) -> int:
    return round(policy.hold_block_s * 1_000)


def bearing(state: ConversationState, policies: Holding, *, offset: int, at_ms: int) -> dict[str, HeldBlock]:
    """Return the blocks that hold an event, by policy.

    Args:
        state: Of its chat.
        policies: Those that hold.
        offset: Of its record, in the partition that the state is of. A block behind it bears on later events only.
        at_ms: When it happened.
    """
    return {
        name: block
        for name, block in state.held.items()
        if (policy := policies.get(name)) is not None and block.offset < offset and at_ms < _ends_ms(block, policy)
    }


def newest(blocks: Mapping[str, HeldBlock]) -> PreviousDecision:
    """Return the latest of some blocks as verdicts name it."""
    block = max(blocks.values(), key=lambda one: one.offset)
    return PreviousDecision(decision=Decision.BLOCK, offset=block.offset, decided_at=block.decided_at)


def blocks(verdict: Verdict) -> bool:
    """Say whether any policy blocks."""
    return any(said.decision is Decision.BLOCK for said in verdict.decisions.values())


def state_after(
    state: ConversationState | None, verdict: Verdict, policies: Holding, *, offset: int, at_ms: int
) -> ConversationState | None:
    """Return the state of a chat after an event; None where no policy holds it.

    An event that is read a second time changes nothing: its offset is not above what is known.

    Args:
        state: Before it.
        verdict: On it.
        policies: Those that hold.
        offset: Of its record.
        at_ms: When it happened.
    """
    known = {} if state is None else state.held
    # A policy that is not there now may be back soon: its file was refused at a start, say. Its holds go on till then.
    held = {name: block for name, block in known.items() if name not in policies and at_ms < block.until_ms}
    for name, policy in policies.items():
        block = known.get(name)
        if block is not None and block.offset < offset and at_ms >= _ends_ms(block, policy):
            block = None
        if block is None or block.offset < offset:
            begun = _begun(verdict, policy, offset=offset, at_ms=at_ms)
            # A late record with an early clock takes nothing off a hold.
            if begun is not None and (block is None or begun.until_ms >= block.until_ms):
                block = begun
        if block is not None:
            held[name] = block
    if not held:
        return None
    last = PreviousDecision(decision=verdict.decision, offset=offset, decided_at=verdict.decided_at)
    if state is not None and state.last.offset >= offset:
        last = state.last
    return ConversationState(last=last, held=held)


def _begun(verdict: Verdict, policy: Policy, *, offset: int, at_ms: int) -> HeldBlock | None:
    """Return the hold that begins with an event; None where its policy did not block it."""
    said = verdict.decisions.get(policy.name)
    if said is None or not _is_on_the_chat(said, policy, verdict.decided_at):
        return None
    return HeldBlock(offset=offset, at_ms=at_ms, until_ms=at_ms + _hold_ms(policy), decided_at=verdict.decided_at)


def _is_on_the_chat(said: PolicyDecision, policy: Policy, decided_at: datetime) -> bool:
    """Say whether a decision is a block for what the chat says, not for a person's word or the policy's own dates."""
    if said.decision is not Decision.BLOCK or said.decided_by in _NOT_OF_THE_POLICY:
        return False
    begins, ends = policy.valid_from, policy.valid_until
    return (begins is None or begins <= decided_at) and (ends is None or decided_at < ends)
