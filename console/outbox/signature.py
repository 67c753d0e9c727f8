"""The signature of what is sent to a caller: `t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`.

With the time in it, whoever receives can refuse what is older than a few minutes, and so what somebody sends again.
"""

import hmac
from typing import Final

HEADER: Final = "verdictstream-signature"


def signature_of(key: bytes, body: bytes, at_s: int) -> str:
    """Return the header's value.

    Args:
        key: Shared with the receiver.
        body: The body as it is sent.
        at_s: Now, seconds since 1970.
    """
    digest = hmac.digest(key, b"%d.%b" % (at_s, body), "sha256").hex()
    return f"t={at_s},v1={digest}"


def is_signed(key: bytes, body: bytes, value: str, *, now_s: int, within_s: int = 300) -> bool:
    """Say whether a header's value is this body's and not older than `within_s`; what a receiver does."""
    parts = dict(one.partition("=")[::2] for one in value.split(","))
    at = parts.get("t", "")
    if not (at.isascii() and at.isdecimal()) or abs(now_s - int(at)) > within_s:
        return False
    return hmac.compare_digest(signature_of(key, body, int(at)).encode(), value.encode())
