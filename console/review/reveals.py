"""The log of who saw a text, written before the text is shown."""

from sqlalchemy import Connection, func, select

from console.store.access import log_access
from console.store.tables import access_log


def log_reveal(  # noqa: PLR0917  the order in which pages have them
    connection: Connection,
    actor: str,
    item_id: int | None,
    chat_hash: str | None,
    topic: str | None,
    partition: int | None,
    offset: int | None,
) -> None:
    """Note that somebody is about to see a chat's text; commit before it is shown.

    Args:
        connection: Of `Store.writing`.
        actor: Who.
        item_id: Which item of the queue; None outside of it.
        chat_hash: Keyed hash of the chat; None without a key, and of a gold item.
        topic: Where the text is; None of a gold item.
        partition: Its partition.
        offset: Its offset.
    """
    detail = {"topic": topic, "partition": partition, "offset": offset}
    log_access(connection, actor, "reveal", detail, item_id=item_id, chat_hash=chat_hash)


def n_reveals(connection: Connection, actor: str, since_ms: int) -> int:
    """Return how many texts somebody has seen since a time, milliseconds since 1970."""
    wanted = (access_log.c.at_ms >= since_ms, access_log.c.actor == actor, access_log.c.action == "reveal")
    return int(connection.execute(select(func.count()).select_from(access_log).where(*wanted)).scalar_one())
