"""Certificates of a test: a CA that everybody trusts, one that nobody does, and what they sign."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import trustme
from cryptography.hazmat.primitives import serialization

from deploy.local.ports import LOOPBACK


class Pair(NamedTuple):
    """Files of a certificate with its chain, and of its key."""

    certificate: Path
    key: Path


class Certificates:
    """Makes certificates in a folder.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self._stranger = trustme.CA()
        self.ca = folder / "ca.pem"
        self.other_ca = folder / "other-ca.pem"
        self._authority.cert_pem.write_to_path(self.ca)
        self._stranger.cert_pem.write_to_path(self.other_ca)
        self._server = self._authority.issue_cert(LOOPBACK, "localhost")
        self.server_store = folder / "server-store.pem"
        self.server_store.write_bytes(_pkcs8(self._server) + b"".join(_chain(self._server)))

    def client(self, name: str, *, known: bool = True, expired: bool = False, password: str = "") -> Pair:
        """Return a client certificate with this common name, by the known CA or by the other one."""
        authority = self._authority if known else self._stranger
        expiry = datetime.now(UTC) - timedelta(days=1) if expired else None
        # With a host name too: Java takes an empty list of names for a broken certificate.
        leaf = authority.issue_cert(f"{name}.clients.example", common_name=name, not_after=expiry)
        mark = f"{name}-{known}-{expired}-{bool(password)}"
        pair = Pair(self._folder / f"{mark}.crt", self._folder / f"{mark}.key")
        pair.certificate.write_bytes(b"".join(_chain(leaf)))
        pair.key.write_bytes(_pkcs8(leaf, password))
        return pair

    def server_context(self, *, ask_for_client: bool = False) -> ssl.SSLContext:
        """Return the TLS of a server on the loopback."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.configure_cert(context)
        if ask_for_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self._authority.configure_trust(context)
        return context


def _chain(leaf: trustme.LeafCert) -> list[bytes]:
    return [blob.bytes() for blob in leaf.cert_chain_pems]


def _pkcs8(leaf: trustme.LeafCert, password: str = "") -> bytes:
    """Return the key in the form that Java reads, with a password where one is given."""
    key = serialization.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption(),
    )
