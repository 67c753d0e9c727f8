"""Pages for people, beside the API on the same port.

Each page has a folder here for what answers, a template, and a folder of ES modules and styles under static/. What all
share is the frame: login, headers, banner, looks.
"""

from typing import Final

from console.pages import chat, frame, live, model, policy, review, try_it

PAGES: Final = (frame.add, live.add, review.add, chat.add, policy.add, model.add, try_it.add)

__all__ = ["PAGES"]
