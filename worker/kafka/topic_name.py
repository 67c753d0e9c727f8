"""What Kafka takes for the name of a topic. Pure.

The client asks for any name, and a broker answers for one that no topic can have as for one that is not there: the
worker would wait for it.
"""

import re
from typing import Final

_LEGAL: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_LONGEST_QUOTE: Final = 80


def topic_name(name: str) -> str:
    """Return the name.

    Raises:
        ValueError: no topic can have it.
    """
    if _LEGAL.fullmatch(name) and name not in {".", ".."}:
        return name
    # A control character that ends a name shows in no other form. An address may hold a password.
    shown = "what holds an @" if "@" in name else repr(name[:_LONGEST_QUOTE])
    raise ValueError(
        f"{shown} is no topic's name; expected 1 to 249 ASCII letters, digits, dots, underscores and dashes, without "
        "quotes, blanks and line ends, and not . or .."
    )
