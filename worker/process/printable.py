"""Text that others wrote, as a terminal may show it. Upstream chooses chat ids; a terminal obeys control characters."""

from rich.markup import escape


def printable(text: str) -> str:
    """Return text without control characters; each becomes a `?`."""
    return "".join(character if character.isprintable() else "?" for character in text)


def cell(text: str) -> str:
    """Return text for a table of rich's: printable, and no markup."""
    return escape(printable(text))
