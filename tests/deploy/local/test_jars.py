"""Kafka's jars: pinned, verified, fetched once; a loopback server plays the Maven repository."""

import hashlib
import http.server
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.local import JarError
from deploy.local.jars import JarLock, LockedJar, ensure_jars, load_lock

_CONTENT = b"jar " * 50_000
_N_JARS = 3


class _Repository(http.server.ThreadingHTTPServer):
    """Serves the same bytes for every jar and counts what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.n_requests: Counter[str] = Counter()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Repository)
        self.server.n_requests[self.path.rpartition("/")[2]] += 1
        known = self.path.endswith(".jar") and "missing" not in self.path
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(_CONTENT) if known else 0))
        self.end_headers()
        if known:
            self.wfile.write(_CONTENT)

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Repository]:
    """Run a repository on the loopback and name it as the mirror in jgo's settings."""
    server = _Repository()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = tmp_path / "jgo.conf"
    address = f"http://127.0.0.1:{server.server_port}/maven"
    settings.write_text(f"[repositories]\ncentral = {address}\n", "utf-8")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _lock(*names: str) -> JarLock:
    digest = hashlib.sha256(_CONTENT).hexdigest()
    jars = tuple(LockedJar("org.example", name, "1.0", f"{name}-1.0.jar", len(_CONTENT), digest) for name in names)
    return JarLock("1.0", jars)


def _ensure_in_child(lock: JarLock, cache_dir: Path) -> None:
    ensure_jars(lock, cache_dir)


def test_a_fetched_jar_with_another_digest_is_refused_and_not_cached(repository: _Repository, tmp_path: Path) -> None:
    """A repository that serves other bytes than were pinned must not get code onto the machine."""
    honest = _lock("broker")
    forged = replace(honest, jars=(replace(honest.jars[0], sha256="0" * 64),))
    with pytest.raises(JarError, match=f"{honest.jars[0].sha256[:12]}.*000000000000"):
        ensure_jars(forged, tmp_path)
    assert repository.n_requests["broker-1.0.jar"] == 1
    assert not list((tmp_path / "1.0").glob("*.jar"))
    assert not list((tmp_path / "1.0").glob(".incoming-*"))


def test_a_cached_jar_that_was_changed_is_refused(repository: _Repository, tmp_path: Path) -> None:
    """The cache is verified at every start, not only after a download."""
    lock = _lock("broker")
    (jar,) = ensure_jars(lock, tmp_path)
    jar.write_bytes(b"something else")
    with pytest.raises(JarError, match="delete it and run again"):
        ensure_jars(lock, tmp_path)
    assert repository.n_requests["broker-1.0.jar"] == 1


def test_two_first_starts_at_once_fetch_each_jar_once(repository: _Repository, tmp_path: Path) -> None:
    """Parallel test runs on a fresh machine must not corrupt the cache they share."""
    lock = _lock("a", "b", "c")
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_ensure_in_child, args=(lock, tmp_path)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert [repository.n_requests[jar.file] for jar in lock.jars] == [1] * _N_JARS


def test_jars_fetched_before_a_failure_are_kept_for_the_next_try(repository: _Repository, tmp_path: Path) -> None:
    """A broken connection at the last jar must not cost the whole download again."""
    with pytest.raises(JarError, match=r"missing:jar:1\.0 cannot be fetched.*mirror"):
        ensure_jars(_lock("broker", "missing"), tmp_path)
    ensure_jars(_lock("broker"), tmp_path)
    assert repository.n_requests["broker-1.0.jar"] == 1


def test_the_first_download_says_how_much_and_where_to(
    repository: _Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody should wonder why the first start takes longer, or where the space went."""
    ensure_jars(_lock("a", "b"), tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert "downloading 2 jars" in lines[0]
    assert str(tmp_path) in lines[0]
    assert "of 0 MB" in lines[-1]
    assert sum(repository.n_requests.values()) > 0


def test_the_committed_lock_names_every_jar_with_a_digest_and_no_registry_host() -> None:
    """The lock is the only thing that stands between a repository and our classpath."""
    lock = load_lock()
    assert lock.kafka_version.startswith("4.")
    assert {"kafka_2.13", "kafka-clients", "log4j-slf4j-impl"} <= {j.artifact for j in lock.jars}
    assert len({jar.file for jar in lock.jars}) == len(lock.jars)
    for jar in lock.jars:
        assert jar.file == f"{jar.artifact}-{jar.version}.jar"
        assert len(bytes.fromhex(jar.sha256)) == 32
        assert jar.n_bytes > 0


def test_a_lock_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """A half-understood lock would verify half of what runs."""
    path = tmp_path / "lock.json"
    path.write_text('{"format": 2, "kafka_version": "5.0.0", "jars": []}', "utf-8")
    with pytest.raises(JarError, match="format 2, expected 1"):
        load_lock(path)
