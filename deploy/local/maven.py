"""Talk to Maven repositories through jgo's pure-Python resolver; no `mvn` is needed or used.

The repositories are jgo's: Maven Central, after those named in jgo's own settings file, where a
company's mirror goes. Imported only when something must be downloaded.

Source: jgo `jgo/maven/_resolver.py` (PythonResolver), `jgo/config/_settings.py`.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import requests
from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import Artifact, MavenContext, PythonResolver

from deploy.local.errors import JarError

KAFKA_COORDINATE = "org.apache.kafka:kafka_2.13"
_REQUEST_TIMEOUT_S = 30
_RUN_SCOPES = ("compile", "runtime", None)


def download(group: str, artifact: str, version: str, *, into: Path, advance: Callable[[int], None]) -> Path:
    """Download one jar below the folder `into` and return its path.

    Args:
        group: Maven group id.
        artifact: Maven artifact id.
        version: Maven version.
        into: Empty folder of the caller's.
        advance: Told how many bytes just arrived.

    Raises:
        JarError: It cannot be fetched.
    """

    @contextlib.contextmanager
    def report(_name: str, _total: int) -> Iterator[Callable[[int], None]]:
        yield advance

    context = _context(into, PythonResolver(progress_callback=report))
    wanted = context.project(group, artifact).at_version(version).artifact()
    return _fetch(wanted)


def resolve(kafka_version: str, *, into: Path) -> list[tuple[str, str, str, Path]]:
    """Resolve and download everything the broker needs at run time.

    Kafka's own POM leaves the binding of SLF4J to Log4j to its distribution, so it is added here
    in the version of log4j-core.

    Returns:
        (group, artifact, version, path of the jar) for each jar, Kafka itself first.

    Raises:
        JarError: The version does not exist, or something cannot be fetched.
    """
    context = _context(into, PythonResolver())
    root = context.create_dependency(f"{KAFKA_COORDINATE}:{kafka_version}")
    try:
        inputs, transitive = context.resolver.resolve([root])
    except (RuntimeError, requests.RequestException) as error:
        raise JarError(_unreachable(f"{KAFKA_COORDINATE}:{kafka_version}", error)) from error
    artifacts = [d.artifact for d in (*inputs, *transitive) if d.scope in _RUN_SCOPES]
    log4j_version = next(a.version for a in artifacts if a.artifactId == "log4j-core")
    binding = context.project("org.apache.logging.log4j", "log4j-slf4j-impl")
    artifacts.append(binding.at_version(log4j_version).artifact())
    return [(a.groupId, a.artifactId, a.version, _fetch(a)) for a in artifacts]


def _context(repo_cache: Path, resolver: PythonResolver) -> MavenContext:
    """Return a context that keeps its files in `repo_cache` only."""
    repositories = {**GlobalSettings.load().repositories}
    repositories.setdefault("central", MAVEN_CENTRAL_URL)
    return MavenContext(
        resolver=resolver,
        repo_cache=repo_cache,
        remote_repos=repositories,
        timeout=_REQUEST_TIMEOUT_S,
    )


def _fetch(artifact: Artifact) -> Path:
    """Download one artifact where it is not there yet."""
    try:
        return Path(artifact.resolve())
    except (RuntimeError, OSError, requests.RequestException) as error:
        raise JarError(_unreachable(str(artifact), error)) from error


def _unreachable(wanted: str, error: Exception) -> str:
    """Say what could not be fetched and what helps."""
    return (
        f"{wanted} cannot be fetched ({type(error).__name__}: {error}); expected a reachable Maven "
        "repository that has it; go online once, set HTTPS_PROXY, or name a mirror under "
        "[repositories] in jgo's settings file, then run again"
    )
