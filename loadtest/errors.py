"""Why a measurement ends without a number."""

from testkit.errors import HarnessError


class LoadTestError(HarnessError):
    """The measurement cannot be taken or would not mean anything; holds found, expected and remedy."""
