"""An OIDC issuer on the loopback: a token endpoint for client credentials over TLS, and its keys for the broker."""

import base64
import ssl
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import orjson
from joserfc import jwt
from joserfc.jwk import RSAKey

from deploy.local.ports import LOOPBACK

AUDIENCE: Final = "kafka"
ISSUER: Final = "https://issuer.example"
_LIFETIME_S: Final = 300


class TokenServer:
    """Issues tokens to known clients. The broker asks for the keys without TLS: its Java trusts no test CA.

    Args:
        clients: Client id to its secret.
        context: TLS of the token endpoint.
    """

    def __init__(self, clients: Mapping[str, str], context: ssl.SSLContext) -> None:
        self.clients = dict(clients)
        self.audience = AUDIENCE
        self.asked_scopes: list[str] = []
        self._key = RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
        self._plain = self._serve(None)
        self._tls = self._serve(context)

    @property
    def token_url(self) -> str:
        """Where clients get tokens."""
        return f"https://{LOOPBACK}:{self._tls.server_port}/token"

    @property
    def jwks_url(self) -> str:
        """Where the broker gets the keys."""
        return f"http://{LOOPBACK}:{self._plain.server_port}/jwks"

    def token(self, client_id: str) -> str:
        """Return a signed token whose subject is the client."""
        now = int(time.time())
        claims = {"sub": client_id, "iss": ISSUER, "aud": self.audience, "iat": now, "exp": now + _LIFETIME_S}
        return jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)

    def keys(self) -> dict[str, Any]:
        """Return the public keys."""
        return {"keys": [self._key.as_dict(private=False)]}

    def answer(self, authorization: str, form: str) -> tuple[int, dict[str, Any]]:
        """Answer a request for a token: status and body."""
        scheme, _, encoded = authorization.partition(" ")
        client_id, _, secret = base64.b64decode(encoded).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if not secret or self.clients.get(client_id) != secret:
            return 401, {"error": "invalid_client"}
        self.asked_scopes.append(form)
        return 200, {"access_token": self.token(client_id), "token_type": "Bearer", "expires_in": _LIFETIME_S}

    def _serve(self, context: ssl.SSLContext | None) -> ThreadingHTTPServer:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(200, issuer.keys())

            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._send(*issuer.answer(self.headers.get("Authorization", ""), form))

            def _send(self, status: int, body: dict[str, Any]) -> None:
                raw = orjson.dumps(body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        server.daemon_threads = True
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def close(self) -> None:
        """Stop serving."""
        for server in (self._plain, self._tls):
            server.shutdown()
            server.server_close()
