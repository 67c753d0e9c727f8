"""Notice that a connection to Redis was lost and made again: behind the same address another server may answer."""

import weakref
from collections.abc import Callable
from typing import Any

import redis


def watch_reconnects(client: "redis.Redis", reconnected: Callable[[], None]) -> None:
    """Call back whenever a connection of this client is made for a second time.

    The pool repairs a connection that the server has closed without an error, so that only the connection itself knows.

    Args:
        client: A client that has not connected yet.
        reconnected: Called in the thread that connects; must be quick and must not raise.
    """
    known: weakref.WeakSet[Any] = weakref.WeakSet()

    def on_connect(connection: Any) -> None:
        connection.on_connect()
        # A pool makes a new object for one more thread, and keeps it over all reconnects.
        if connection in known:
            reconnected()
        known.add(connection)

    client.connection_pool.connection_kwargs["redis_connect_func"] = on_connect
