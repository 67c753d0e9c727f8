"""Change what the user said last, and nothing else of a chat."""

from collections.abc import Callable, Sequence

from schemas import Role, Turn


def last_user(turns: Sequence[Turn]) -> int | None:
    """Return the position of the last user message; None where no user speaks."""
    return max((i for i, turn in enumerate(turns) if turn.role is Role.USER), default=None)


def with_last_message(turns: Sequence[Turn], change: Callable[[str], str]) -> list[Turn]:
    """Return the chat with its last user message changed; as it is where no user speaks."""
    last = last_user(turns)
    return [turn._replace(text=change(turn.text)) if i == last else turn for i, turn in enumerate(turns)]
