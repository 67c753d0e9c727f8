"""Bundles that differ from the shipped one, and registries that serve them, made on the spot."""

import hashlib
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from model import load_bundle
from model.bundle.manifest import FIRST_STAGE_NAME, NETWORK_NAME
from model.bundle.registry import POINTER_NAME, Registry, RegistryEntry
from model.bundle.signature import sign


def digest_of(content: bytes) -> str:
    """Return the digest as manifests write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def bundle_variant(
    source: Path, target: Path, *, version: str, temperature: float | None = None, files: dict[str, bytes] | None = None
) -> Path:
    """Copy a bundle under another version; its digests are right.

    Args:
        source: A bundle.
        target: Where the copy goes.
        version: Its version.
        temperature: Divisor of its logits, so that its probabilities are others than the source's.
        files: Contents that replace those of the source.
    """
    shutil.copytree(source, target)
    manifest: dict[str, Any] = orjson.loads((target / "manifest.json").read_bytes())
    manifest["version"] = version
    if temperature is not None:
        manifest |= {"temperature": temperature, "class_groups": None}
    for name, content in (files or {}).items():
        (target / name).write_bytes(content)
        manifest["files"][name] = {"digest": digest_of(content), "n_bytes": len(content)}
    (target / "manifest.json").write_bytes(orjson.dumps(manifest))
    return target


def endless_bundle(source: Path, target: Path, *, model: bytes) -> Path:
    """Copy a bundle with another model and no first stage, which would answer some chats in its place."""
    bundle_variant(source, target, version="0.0", files={"model.onnx": model})
    manifest: dict[str, Any] = orjson.loads((target / "manifest.json").read_bytes())
    manifest["first_stage"] = None
    for name in {FIRST_STAGE_NAME, NETWORK_NAME} & manifest["files"].keys():
        del manifest["files"][name]
        (target / name).unlink()
    (target / "manifest.json").write_bytes(orjson.dumps(manifest))
    return target


def key_pair(folder: Path) -> tuple[Path, Path]:
    """Write a fresh Ed25519 key pair, as openssl does; return the files of the private and the public key."""
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    private, public = folder / "private.pem", folder / "public.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def serve(registry: Path, location: str, *, sign_key: Path | None = None) -> str:
    """Let a registry serve the bundle in one of its folders, in one step as `promote` does; return its digest."""
    digest = digest_of((registry / location / "manifest.json").read_bytes())
    point_to(registry, location, digest, signature=None if sign_key is None else sign(digest, sign_key))
    return digest


def point_to(registry: Path, location: str, digest: str, *, signature: str | None = None) -> None:
    """Set a registry's pointer, right or wrong."""
    entry = RegistryEntry(location=location, digest=digest, set_at=datetime.now(UTC), signature=signature)
    staged = registry / f".{POINTER_NAME}"
    staged.write_text(Registry(current=entry).model_dump_json())
    staged.replace(registry / POINTER_NAME)


def registry_of_two(source: Path, registry: Path) -> tuple[str, str]:
    """Put two bundles into a registry, at `m/1` and `m/2`, let it serve the first, and return both digests.

    The second one's logits are divided by three times as much, so no chat has the same probabilities under both.
    """
    temperature = load_bundle(source).manifest.temperature
    bundle_variant(source, registry / "m" / "1", version="1.0")
    second = bundle_variant(source, registry / "m" / "2", version="2.0", temperature=3 * temperature)
    return serve(registry, "m/1"), digest_of((second / "manifest.json").read_bytes())
