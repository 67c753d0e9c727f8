"""The newest outcome of every chat. Pure."""

from collections.abc import Iterator

from worker.cache.outcome_order import Outcome, Versions, is_newer
from worker.record import Place


class NewestOutcomes:
    """The newest outcome of each chat: about 400 bytes a chat."""

    def __init__(self) -> None:
        self._newest: dict[str, Outcome] = {}
        self._versions: dict[Versions, Versions] = {}
        self._spoiled: set[str] = set()

    def __len__(self) -> int:
        return len(self._newest)

    def offer(self, chat_id: str, outcome: Outcome) -> None:
        """Take an outcome that was read; the order of offers does not matter."""
        old = self._newest.get(chat_id)
        if old is None or is_newer(outcome, old):
            shared = outcome.versions and self._versions.setdefault(outcome.versions, outcome.versions)
            self._newest[chat_id] = outcome._replace(versions=shared)

    def spoil(self, chat_id: str) -> None:
        """Take that the chat has an outcome that cannot be read, so that nobody knows which is the newest."""
        self._spoiled.add(chat_id)

    def markers(self) -> Iterator[tuple[str, Outcome]]:
        """Yield the chats whose newest record was rejected."""
        return ((chat_id, one) for chat_id, one in self._known() if one.rejected is not None)

    def verdicts(self) -> dict[Place, tuple[str, Outcome]]:
        """Return, by the place of its record, the verdict of each chat whose newest record has one."""
        return {one.place: (chat_id, one) for chat_id, one in self._known() if one.rejected is None}

    def _known(self) -> Iterator[tuple[str, Outcome]]:
        return (item for item in self._newest.items() if item[0] not in self._spoiled)
