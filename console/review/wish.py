"""Which answers are taken: the rules that the settings set, on the server, whatever a page lets through."""

import re
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
_POLICY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class AnswerRules:
    """What an answer must hold.

    Args:
        reasons: Codes of which it may name one.
        needed: Outcomes that need a reason, and `category`.
    """

    def __init__(self, reasons: tuple[str, ...], needed: frozenset[str]) -> None:
        self.reasons = reasons
        self.needed = needed

    @classmethod
    def of(cls, settings: ReviewSettings) -> Self:
        """Return the rules of the settings.

        Raises:
            SettingsError: a reason is no code, or `reason_needed` names something else.
        """
        reasons = tuple(part for one in settings.reasons.split(",") if (part := one.strip()))
        needed = frozenset(part for one in settings.reason_needed.split(",") if (part := one.strip()))
        for reason in reasons:
            if not _fits(_CODE, reason):
                raise SettingsError(
                    "review.reasons names what is no code; expected codes of small letters, digits, _ . - by commas"
                )
        known = {Outcome.ALLOW.value, Outcome.BLOCK.value, OTHER_CATEGORY}
        if others := needed - known:
            raise SettingsError(
                f"review.reason_needed names {', '.join(sorted(others))}; expected some of {', '.join(sorted(known))}"
            )
        if needed and not reasons:
            raise SettingsError(
                "review.reasons is empty, and review.reason_needed wants one; expected codes to choose from"
            )
        return cls(reasons, needed)

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
        self._check_reason(wish.outcome, wish.reason, has_other_category=is_other)
        if wish.policy not in {None, EVERY_POLICY} and _POLICY.fullmatch(wish.policy or "") is None:
            raise WishRefused("policy", "policy is no name of a policy; send one of the item's policies, or *")
        return Wish(wish.outcome, wish.category, wish.reason or None, note, wish.policy, wish.whole_chat)

    def _check_reason(self, outcome: str, reason: str | None, *, has_other_category: bool) -> None:
        is_needed = outcome in self.needed or (has_other_category and OTHER_CATEGORY in self.needed)
        if not reason:
            if is_needed:
                raise WishRefused(
                    "reason", f"found no reason; {outcome} needs one (review.reason_needed): {', '.join(self.reasons)}"
                )
            return
        if reason not in self.reasons:
            raise WishRefused(
                "reason", f"reason is none of review.reasons: {', '.join(self.reasons)}; send one of them"
            )


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
