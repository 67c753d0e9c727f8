"""The page Chat: every verdict of one chat, why each is so, its text on request, and a person's word on it."""

from console.pages.chat.route import add

__all__ = ["add"]
