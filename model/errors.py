"""What can go wrong between text and probabilities, and who answers for it."""


class BundleError(Exception):
    """The bundle cannot be trusted or understood: nothing is served from it, the process does not start."""


class RowFailed(Exception):  # noqa: N818  the name says what happened
    """The classifier fails on this row, even alone: its record is dead-lettered, its neighbours are not.

    Args:
        error: What was found, without chat text.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
