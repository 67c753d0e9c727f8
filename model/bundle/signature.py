"""Ed25519 signatures over a bundle's digest, for registries that others can write to.

Optional: needs the `signing` extra (cryptography). The digest covers every file, so signing its text signs the bundle.
A signature does not say when: an older bundle that was signed is as good as the newest.
Source: RFC 8032; keys are PEM files (PKCS #8 private, SubjectPublicKeyInfo public), as `openssl genpkey -algorithm
ed25519` writes them.
"""

import base64
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from model.bundle.files import read_regular
from model.errors import BundleError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def sign(digest: str, private_key: Path) -> str:
    """Return the signature of a digest's text, base64.

    Raises:
        BundleError: the key is not an Ed25519 private key, or cryptography is not installed.
    """
    return base64.b64encode(_private_key(private_key).sign(digest.encode())).decode()


def verify(digest: str, signature: str | None, public_key: Path) -> None:
    """Check a signature.

    Raises:
        BundleError: there is none, it is not of this digest and key, the key is not an Ed25519 public key, or
            cryptography is not installed.
    """
    if signature is None:
        raise BundleError(
            f"{digest[:19]}: not signed; expected a signature that {public_key} verifies; promote it with --sign-key"
        )
    key = read_public_key(public_key)
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  (an optional package)

    try:
        key.verify(base64.b64decode(signature, validate=True), digest.encode())
    except (InvalidSignature, ValueError) as error:
        raise BundleError(
            f"{digest[:19]}: the signature is not of this digest by the private key of {public_key}; expected one that "
            "is; promote it with that --sign-key"
        ) from error


def _private_key(path: Path) -> "Ed25519PrivateKey":
    _require_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(read_regular(path), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(f"{path}: not a readable private key ({error}); expected an Ed25519 key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(f"{path}: holds a {type(key).__name__}; expected an Ed25519 private key in PEM")
    return key


def read_public_key(path: Path) -> "Ed25519PublicKey":
    """Read an Ed25519 public key in PEM.

    Raises:
        BundleError: the file holds none, or cryptography is not installed.
    """
    _require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    try:
        key = load_pem_public_key(read_regular(path))
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(
            f"{path}: not a readable public key ({error}); expected an Ed25519 public key in PEM; check the path, the "
            "mount and its rights"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path}: holds a {type(key).__name__}; expected an Ed25519 public key in PEM")
    return key


def _require_cryptography() -> None:
    if find_spec("cryptography") is None:
        raise BundleError(
            "the package cryptography is not installed; expected it, for signatures; run `make setup`, or install "
            "requirements-serving.lock, which has it"
        )
