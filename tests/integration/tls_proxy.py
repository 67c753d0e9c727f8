"""TLS in front of a server that has none: the redis-server wheel is built without it.

What the client does (certificates, host name, ACL user over the encrypted line) is the real thing; only the end of the
line is taken off one step before Redis.
"""

import socket
import ssl
import threading
from contextlib import ExitStack, suppress

from deploy.local.ports import LOOPBACK


class TlsProxy:
    """Takes TLS connections and passes their content on.

    Args:
        context: Server side TLS; may ask for a client certificate.
        target_port: Plain server on the loopback.
    """

    def __init__(self, context: ssl.SSLContext, target_port: int) -> None:
        self._context = context
        self._target_port = target_port
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        # A client that is refused, or goes away, ends its own connection only.
        with suppress(OSError), raw, ExitStack() as stack:
            inside = stack.enter_context(self._context.wrap_socket(raw, server_side=True))
            outside = stack.enter_context(socket.create_connection((LOOPBACK, self._target_port)))
            back = threading.Thread(target=_pump, args=(outside, inside), daemon=True)
            back.start()
            _pump(inside, outside)
            back.join()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(65_536):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
