"""Verdicts that this process wrote to the cache, decoded: reading one back costs a comparison of bytes.

Redis stays the only source of what is cached; a value that differs in a byte from what was written is decoded and
validated.
"""

from schemas import Verdict, decode_verdict


class DecodedVerdicts:
    """The last written verdict of the chats written last. One thread keeps, another may ask meanwhile.

    Args:
        n_kept: Verdicts kept; those written longest ago go first.
    """

    def __init__(self, n_kept: int) -> None:
        self._n_kept = n_kept
        self._kept: dict[str, tuple[bytes, Verdict]] = {}

    def keep(self, encoded: bytes, verdict: Verdict) -> None:
        """Remember what these bytes say."""
        # Taken out first: a dict ends with what was inserted last. Whoever asks in between decodes.
        self._kept.pop(verdict.chat_id, None)
        self._kept[verdict.chat_id] = (encoded, verdict)
        if len(self._kept) > self._n_kept:
            del self._kept[next(iter(self._kept))]

    def verdict(self, chat_id: str, raw: bytes) -> Verdict:
        """Return the verdict that was read for a chat.

        Raises:
            pydantic.ValidationError: the bytes are not a Verdict.
        """
        kept = self._kept.get(chat_id)
        if kept is not None and kept[0] == raw:
            return kept[1]
        return decode_verdict(raw)
