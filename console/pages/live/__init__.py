"""The page Live: verdicts as they come, rates, lag, dead letters."""

from console.pages.live.route import add

__all__ = ["add"]
