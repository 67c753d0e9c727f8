"""What can go wrong between text and probabilities, and who answers for it."""


class BundleError(Exception):
    """The bundle cannot be trusted or understood: nothing is served from it, the process does not start."""


class InferenceStalled(BundleError):  # noqa: N818  the name says what happened
    """The model took too long, too often for one call: none of its rows has an answer; ask again for fewer.

    Args:
        error: What was found.
        n_timeouts: Inferences that were ended.
        n_abandoned: Of these, the ones that did not end.
    """

    def __init__(self, error: str, *, n_timeouts: int, n_abandoned: int) -> None:
        super().__init__(error)
        self.n_timeouts = n_timeouts
        self.n_abandoned = n_abandoned


class RowFailed(Exception):  # noqa: N818  the name says what happened
    """The classifier fails on this row, even alone: its record is dead-lettered, its neighbours are not.

    Args:
        error: What was found, without chat text.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class ClassesRefused(ValueError):  # noqa: N818  the name says what happened
    """Classes, descriptions or texts that nothing can be learnt or said of; the message says which, and what to do."""
