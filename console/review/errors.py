"""What a person's wish can meet in the queue."""


class Conflict(Exception):  # noqa: N818  the name says what happened
    """Somebody else was first, or the caller's lease was lost.

    Args:
        message: What was found and what to do; no chat text.
        claimed_by: Who holds the item now.
        until_ms: Until when, milliseconds since 1970.
        decided_by: Who answered it.
        outcome: Their answer: allow, block or skip.
        n_matching: Of a bulk action: how many items match now.
    """

    def __init__(
        self,
        message: str,
        *,
        claimed_by: str | None = None,
        until_ms: int | None = None,
        decided_by: str | None = None,
        outcome: str | None = None,
        n_matching: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.claimed_by = claimed_by
        self.until_ms = until_ms
        self.decided_by = decided_by
        self.outcome = outcome
        self.n_matching = n_matching


class NotInQueue(Exception):  # noqa: N818  the name says what happened
    """There is no such item or answer, it was erased, or it is nothing for this person: none says which."""


class WishRefused(ValueError):  # noqa: N818  the name says what becomes of it
    """An answer that breaks a rule: found, expected, what to do.

    Args:
        param: The field at fault.
        message: Quotes nothing that was written into it.
    """

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param
        self.message = message
