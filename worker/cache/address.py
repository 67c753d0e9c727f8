"""What a Redis address says, as the client will read it: the settings are checked against nothing else.

Apart from `connection`, because the settings are built before there is anything to connect with.
"""

from typing import Any

from redis.connection import parse_url


def address_parts(url: str) -> dict[str, Any]:
    """Return the parts of an address that the client would use, `username` and `password` among them.

    Raises:
        ValueError: it is no redis://, rediss:// or unix:// address. The text may quote the password.
    """
    parts: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    return parts
