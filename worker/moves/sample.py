"""Which chats a shadow judges: a share, chosen by content, so that every worker and the report choose the same."""


def is_sampled(fingerprint: str, ratio: float) -> bool:
    """Say whether a content belongs to the sample.

    Args:
        fingerprint: Content fingerprint, hex digits.
        ratio: Share of all contents, 0..1.
    """
    return int(fingerprint[:8], 16) < ratio * 0x1_0000_0000
