"""Keep the jars that a Kafka broker needs: pinned by a lock file, cached, verified at every start.

`kafka-jars.lock.json` names each jar with its coordinate, size and SHA-256 digest;
`python -m deploy.local lock` writes it anew. With a warm cache no network is touched.

Invariant: a path is only handed out after its bytes matched the lock, and a jar reaches its final
name by one atomic rename, so that neither a broken download nor a second process can leave half a
file behind.
"""

import hashlib
import json
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from deploy.local.errors import JarError
from deploy.local.progress import download_progress

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock.json")
_LOCK_FORMAT = 1
_N_DOWNLOADS = 4
_MB = 1_000_000
_DIGEST_SHOWN = 12


@dataclass(frozen=True)
class LockedJar:
    """One jar as the lock file names it."""

    group: str
    artifact: str
    version: str
    file: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class JarLock:
    """All jars of one Kafka version, in classpath order."""

    kafka_version: str
    jars: tuple[LockedJar, ...]

    @property
    def total_bytes(self) -> int:
        """Size of all jars together."""
        return sum(jar.n_bytes for jar in self.jars)


def default_cache_dir() -> Path:
    """Return the folder inside the user's cache folder that holds the jars."""
    return Path(user_cache_path("verdictstream")) / "kafka-jars"


def load_lock(path: Path = LOCK_FILE) -> JarLock:
    """Read a lock file.

    Raises:
        JarError: It is missing or has another format.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format"] != _LOCK_FORMAT:
            raise JarError(
                f"{path}: format {content['format']}, expected {_LOCK_FORMAT}; re-run `python -m deploy.local lock`"
            )
        return JarLock(content["kafka_version"], tuple(LockedJar(**jar) for jar in content["jars"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JarError(
            f"{path}: {type(error).__name__}: {error}; expected the list of Kafka's jars; "
            "restore the file, or re-run `python -m deploy.local lock`"
        ) from error


def write_lock(kafka_version: str, path: Path = LOCK_FILE) -> JarLock:
    """Resolve Kafka's jars anew, hash them and write the lock file.

    Raises:
        JarError: Something cannot be resolved or fetched.
    """
    from deploy.local import maven  # noqa: PLC0415 - jgo is only loaded where it is needed

    with tempfile.TemporaryDirectory(prefix="verdictstream-lock-") as folder:
        jars = tuple(
            LockedJar(group, artifact, version, jar.name, jar.stat().st_size, file_sha256(jar))
            for group, artifact, version, jar in maven.resolve(kafka_version, into=Path(folder))
        )
    lock = JarLock(kafka_version, jars)
    content = {
        "format": _LOCK_FORMAT,
        "kafka_version": kafka_version,
        "jars": [asdict(jar) for jar in jars],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return lock


def ensure_jars(lock: JarLock, cache_dir: Path) -> list[Path]:
    """Return verified jars in classpath order, downloading what the cache lacks.

    Raises:
        JarError: A jar cannot be fetched, or has another digest than the lock says.
    """
    folder = cache_dir / lock.kafka_version
    folder.mkdir(parents=True, exist_ok=True)
    if _missing(lock, folder):
        with FileLock(folder / ".download.lock"):
            # Another process may have fetched them while this one waited.
            _download(_missing(lock, folder), folder)
    for jar in lock.jars:
        _verify(jar, folder / jar.file)
    return [folder / jar.file for jar in lock.jars]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 digest of a file in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _missing(lock: JarLock, folder: Path) -> list[LockedJar]:
    """Return the jars the cache folder lacks."""
    return [jar for jar in lock.jars if not (folder / jar.file).is_file()]


def _download(jars: Sequence[LockedJar], folder: Path) -> None:
    """Fetch the jars in parallel; each is verified before it gets its name."""
    if not jars:
        return
    total_bytes = sum(jar.n_bytes for jar in jars)
    announcement = (
        f"Kafka is not in the cache yet: downloading {len(jars)} jars, "
        f"{total_bytes / _MB:.0f} MB, from Maven to {folder}"
    )
    stop = threading.Event()
    with (
        download_progress(announcement, total_bytes) as advance,
        ThreadPoolExecutor(_N_DOWNLOADS) as pool,
    ):
        pending = [pool.submit(_download_one, jar, folder, advance, stop) for jar in jars]
        try:
            for future in pending:
                future.result()
        finally:
            stop.set()


def _download_one(jar: LockedJar, folder: Path, advance: Callable[[int], None], stop: threading.Event) -> None:
    """Fetch one jar into a temporary folder beside its place, verify it, rename it."""
    from deploy.local import maven  # noqa: PLC0415 - jgo is only loaded where it is needed

    if stop.is_set():
        return
    with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as incoming:
        fetched = maven.download(jar.group, jar.artifact, jar.version, into=Path(incoming), advance=advance)
        _verify(jar, fetched)
        fetched.replace(folder / jar.file)


def _verify(jar: LockedJar, path: Path) -> None:
    """Compare a file with the lock.

    Raises:
        JarError: The digests differ.
    """
    found = file_sha256(path)
    if found != jar.sha256:
        raise JarError(
            f"{path}: digest is sha256:{found[:_DIGEST_SHOWN]}, {LOCK_FILE.name} says "
            f"sha256:{jar.sha256[:_DIGEST_SHOWN]} for {jar.group}:{jar.artifact}:{jar.version}; "
            "it is not the file that was pinned: delete it and run again to fetch it anew, and if "
            "it differs again, ask who changed the repository before you re-run "
            "`python -m deploy.local lock`"
        )
