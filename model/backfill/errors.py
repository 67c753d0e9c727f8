"""Why nothing is judged: the input, the options or the output folder."""


class BackfillRefused(ValueError):  # noqa: N818  the name says what happened
    """The run does not start, or does not go on; the message says what was found, what was expected, what to do."""
