"""/try: what the model says of a conversation, what it read of it, what moved it; and tables of texts."""

from console.pages.try_it.route import add

__all__ = ["add"]
