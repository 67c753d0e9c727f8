"""Verdicts that this process wrote to the cache, decoded: reading one back costs a comparison of bytes.

Redis stays the only source of what is cached; a value that differs in a byte from what was written is somebody else's,
to be decoded and checked.
"""

from schemas import Verdict


class DecodedVerdicts:
    """The last written verdict of the chats written last. One thread keeps, another may ask meanwhile.

    Args:
        n_kept: Verdicts kept; those written longest ago go first.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._kept: dict[str, tuple[bytes, Verdict]] = {}

    def keep(self, stored: bytes, verdict: Verdict) -> None:
        """Remember what these bytes say."""
        # Taken out first: a dict ends with what was inserted last. Whoever asks in between decodes.
        self._kept.pop(verdict.chat_id, None)
        self._kept[verdict.chat_id] = (stored, verdict)
        if len(self._kept) > self._n_kept:
            del self._kept[next(iter(self._kept))]

    def own(self, chat_id: str, raw: object) -> Verdict | None:
        """Return the verdict that was read for a chat, None where this process did not write these bytes last."""
        kept = self._kept.get(chat_id)
        return kept[1] if kept is not None and kept[0] == raw else None
