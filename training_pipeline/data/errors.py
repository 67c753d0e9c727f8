"""What can stop a data stage; a single bad chat never does, it is rejected with a reason."""


class DataError(ValueError):
    """The input files or options cannot be used: nothing is written, the command exits 3."""


class AnnotatorStopped(Exception):  # noqa: N818  the name says what happened
    """One annotator's endpoint answers no request (key, model, quota): it is left out of the rest of this run.

    Args:
        error: What was found, without chat text and without the key.
    """

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error
