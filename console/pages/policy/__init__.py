"""/policy: what another policy would have decided on past verdicts, what it promises, and its file."""

from console.pages.policy.route import add

__all__ = ["add"]
