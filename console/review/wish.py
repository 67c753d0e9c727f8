"""Which answers are taken: the rules that the settings set, on the server, whatever a page lets through."""

import re
from collections.abc import Iterable, Mapping
from typing import Final, Self

from pydantic import TypeAdapter, ValidationError

from console.errors import SettingsError
from console.review.errors import WishRefused
from console.review.item import EVERY_POLICY, Item, Outcome, Wish
from console.settings.operations import ReviewSettings
from schemas.feedback import MAX_NOTE_CHARACTERS
from schemas.override import ActorId, ReasonCode

NO_REASON: Final = "reviewed"
"""The code of an answer that needs no reason and has none."""
UNDONE: Final = "undone"
"""The code of a decision that takes another one back."""
OTHER_CATEGORY: Final = "category"
"""Stands in `review.reason_needed` for answers that name another category."""

_ACTOR: Final = TypeAdapter(ActorId)
_CODE: Final = TypeAdapter(ReasonCode)
_NEEDING: Final = frozenset({Outcome.ALLOW.value, Outcome.BLOCK.value, OTHER_CATEGORY})
_NONE: Final = "none"
_POLICY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class AnswerRules:
    """What an answer must hold.

    Args:
        reasons: Codes of which it may name one.
        needed: Outcomes that need a reason, and `category`.
        needed_by_queue: The same of queues that have a rule of their own, in place of the general one.
    """

    def __init__(
        self,
        reasons: tuple[str, ...],
        needed: frozenset[str],
        needed_by_queue: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.reasons = reasons
        self.needed = needed
        self.needed_by_queue = dict(needed_by_queue or {})

    @classmethod
    def of(cls, settings: ReviewSettings) -> Self:
        """Return the rules of the settings.

        Raises:
            SettingsError: a reason is no code, or `reason_needed` names something else.
        """
        reasons = tuple(part for one in settings.reasons.split(",") if (part := one.strip()))
        every = [part for one in settings.reason_needed.split(",") if (part := one.strip())]
        needed = frozenset(part for part in every if ":" not in part)
        by_queue = _by_queue(part for part in every if ":" in part)
        for reason in reasons:
            if not _fits(_CODE, reason):
                raise SettingsError(
                    "review.reasons names what is no code; expected codes of small letters, digits, _ . - by commas"
                )
        if others := needed - _NEEDING:
            raise SettingsError(
                f"review.reason_needed names {', '.join(sorted(others))}; expected some of "
                f"{', '.join(sorted(_NEEDING))}, each with or without a queue before it (brand-17:allow)"
            )
        if (needed or any(by_queue.values())) and not reasons:
            raise SettingsError(
                "review.reasons is empty, and review.reason_needed wants one; expected codes to choose from"
            )
        return cls(reasons, needed, by_queue)

    def needed_in(self, queue: str) -> frozenset[str]:
        """Return what needs a reason in a queue: outcomes, and `category`."""
        return self.needed_by_queue.get(queue, self.needed)

    def check(self, wish: Wish, item: Item) -> Wish:
        """Return the answer as it is taken: texts without content are left out, and all but the note of a skip.

        Raises:
            WishRefused: it breaks a rule.
        """
        if wish.outcome not in set(Outcome):
            raise WishRefused("outcome", f"outcome is none of {', '.join(Outcome)}; send one of them")
        if wish.note is not None and len(wish.note) > MAX_NOTE_CHARACTERS:
            raise WishRefused(
                "note", f"note has {len(wish.note)} characters; expected at most {MAX_NOTE_CHARACTERS}; write less"
            )
        if "\x00" in (wish.note or ""):
            raise WishRefused("note", "note holds a NUL character, which no database keeps; remove it")
        note = wish.note or None
        if wish.outcome == Outcome.SKIP:
            return Wish(Outcome.SKIP.value, note=note)
        if wish.category is not None and wish.category not in item.codes:
            raise WishRefused(
                "category", f"category is no code of taxonomy {item.taxonomy.get('name')}; send one of its"
            )
        # Who answers blind cannot know whether their category is another one.
        is_other = wish.category not in {None, item.category} and not item.is_blind
        self._check_reason(wish, item.queue, has_other_category=is_other)
        if wish.policy not in {None, EVERY_POLICY} and _POLICY.fullmatch(wish.policy or "") is None:
            raise WishRefused("policy", "policy is no name of a policy; send one of the item's policies, or *")
        return Wish(wish.outcome, wish.category, wish.reason or None, note, wish.policy, wish.whole_chat)

    def _check_reason(self, wish: Wish, queue: str, *, has_other_category: bool) -> None:
        needed = self.needed_in(queue)
        if not wish.reason:
            if wish.outcome in needed or (has_other_category and OTHER_CATEGORY in needed):
                raise WishRefused(
                    "reason",
                    f"found no reason; {wish.outcome} in queue {queue} needs one (review.reason_needed): "
                    f"{', '.join(self.reasons)}",
                )
            return
        if wish.reason not in self.reasons:
            raise WishRefused(
                "reason", f"reason is none of review.reasons: {', '.join(self.reasons)}; send one of them"
            )


def _by_queue(rules: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the rules `QUEUE:OUTCOME` by queue; `QUEUE:none` is a rule that needs no reason.

    Raises:
        SettingsError: a rule is none, or a queue has `none` and others.
    """
    found: dict[str, set[str]] = {}
    for rule in rules:
        queue, _, outcome = rule.partition(":")
        if _POLICY.fullmatch(queue) is None or outcome not in {*_NEEDING, _NONE}:
            raise SettingsError(
                f"review.reason_needed holds {rule}; expected a queue, a colon, and one of "
                f"{', '.join(sorted(_NEEDING))}, {_NONE}"
            )
        found.setdefault(queue, set()).add(outcome)
    for queue, outcomes in found.items():
        if _NONE in outcomes and len(outcomes) > 1:
            raise SettingsError(
                f"review.reason_needed says {_NONE} and something else of queue {queue}; expected one of both"
            )
    return {queue: frozenset(outcomes - {_NONE}) for queue, outcomes in found.items()}


def check_actor(name: str) -> None:
    """Raise WishRefused where a person's name cannot stand in a decision: printable ASCII without blanks."""
    if not _fits(_ACTOR, name):
        raise WishRefused(
            "reviewer",
            "the name of who asks cannot stand in a decision; expected 1 to 128 printable ASCII characters without "
            "blanks; let the login give an opaque id",
        )


def _fits(form: TypeAdapter[str], value: str) -> bool:
    try:
        form.validate_python(value)
    except ValidationError:
        return False
    return True
