"""Why a measurement ends without a number."""


class LoadTestError(Exception):
    """The measurement cannot be taken or would not mean anything; holds found, expected and remedy."""
