"""A change of the files is seen from outside, whichever way they are changed; nothing else is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundles import digest_of, point_to, serve
from worker.reload.file_signature import appearance


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    """Return a registry with two folders that look like bundles; it serves the first."""
    for version in ("1", "2"):
        folder = tmp_path / "registry" / "m" / version
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(version)
        (folder / "model.onnx").write_text("weights")
    serve(tmp_path / "registry", "m/1")
    return tmp_path / "registry"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return a policy mounted as Kubernetes mounts a ConfigMap: through two links."""
    mount = tmp_path / "policy"
    (mount / "..1").mkdir(parents=True)
    (mount / "..1" / "policy.toml").write_text("one")
    (mount / "..data").symlink_to("..1")
    (mount / "policy.toml").symlink_to("..data/policy.toml")
    return mount / "policy.toml"


def _overwrite_keeping_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_text("strange")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _swap_configmap(policy: Path) -> None:
    mount = policy.parent
    (mount / "..2").mkdir()
    (mount / "..2" / "policy.toml").write_text("two")
    (mount / "..tmp").symlink_to("..2")
    (mount / "..tmp").replace(mount / "..data")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda registry, _: serve(registry, "m/2"), id="another bundle is promoted"),
        pytest.param(lambda registry, _: (registry / "current.json").unlink(), id="the pointer is gone"),
        pytest.param(lambda registry, _: (registry / "current.json").write_text("{"), id="the pointer is torn"),
        pytest.param(lambda registry, _: point_to(registry, "m/3", digest_of(b"")), id="it points nowhere"),
        pytest.param(
            lambda registry, _: _overwrite_keeping_size_and_time(registry / "m" / "1" / "model.onnx"),
            id="a file of the bundle is overwritten and made to look old",
        ),
        pytest.param(lambda registry, _: (registry / "m" / "1" / "x").write_text(""), id="a file is added"),
        pytest.param(lambda registry, _: (registry / "m" / "1" / "model.onnx").unlink(), id="a file is gone"),
        pytest.param(lambda _, policy: _swap_configmap(policy), id="a ConfigMap's link is swapped"),
        pytest.param(lambda _, policy: policy.unlink(), id="the policy is gone"),
    ],
)
def test_every_kind_of_change_is_seen(registry: Path, policy: Path, change: Callable[[Path, Path], object]) -> None:
    """And looking twice without a change shows the same."""
    before = appearance(registry, policy)
    assert appearance(registry, policy) == before
    change(registry, policy)
    assert appearance(registry, policy) != before


def test_a_bundle_folder_behind_a_link_is_followed(registry: Path, tmp_path: Path) -> None:
    """Some deploy by a link to the newest folder."""
    link = tmp_path / "bundle"
    link.symlink_to(registry / "m" / "1")
    before = appearance(link, None)
    link.unlink()
    link.symlink_to(registry / "m" / "2")
    assert appearance(link, None) != before


def test_a_bundle_that_is_not_served_does_not_matter(registry: Path) -> None:
    """`promote` copies the new bundle long before it sets the pointer."""
    before = appearance(registry, None)
    (registry / "m" / "2" / "model.onnx").write_text("half")
    assert appearance(registry, None) == before


def test_a_folder_that_is_missing_is_no_error(tmp_path: Path) -> None:
    """Whoever loads it says what is wrong."""
    before = appearance(tmp_path / "bundle", tmp_path / "policy.toml")
    (tmp_path / "bundle").mkdir()
    assert appearance(tmp_path / "bundle", tmp_path / "policy.toml") != before
