"""The Review page: one item after another by keyboard, many at once, own answers, and how often answers are right.

Invariant: no text leaves the server before who asked for it stands in the access log; no text is kept anywhere.
"""

from console.pages.review.route import add

__all__ = ["add"]
