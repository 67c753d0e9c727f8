"""A folder of policies: whatever is wrong with a file costs its own policy and no other."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from model import Bundle, PolicyError, load_bundle
from model.policies.folder import NOTHING_READ, FolderReading, policy_files, read_folder
from schemas import CHAT_13, Policy
from schemas.taxonomy import shipped_taxonomy
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a small bundle of chat-13."""
    return load_bundle(tiny_bundle(tmp_path_factory.mktemp("bundle") / "b", CHAT_13))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of two policies, and of files that are none."""
    write(tmp_path / "a.json", name="alpha")
    write(tmp_path / "b.toml", name="beta")
    (tmp_path / "README.md").write_text("not one")
    (tmp_path / ".c.json").write_text("half written")
    return tmp_path


def write(path: Path, **fields: Any) -> None:
    """Write a policy file."""
    values = {"version": "1", "banned": ["M"], "max_banned_to_safe_rate": 0.1, "max_safe_to_banned_rate": 0.1, **fields}
    if path.suffix == ".json":
        path.write_bytes(orjson.dumps(values))
    else:
        path.write_text("".join(f"{name} = {orjson.dumps(value).decode()}\n" for name, value in values.items()))


def read(folder: Path, bundle: Bundle, before: FolderReading = NOTHING_READ) -> FolderReading:
    """Read the folder beside the bundle's default policy."""
    return read_folder(folder, bundle, bundle.default_policy, before=before)


def names(found: FolderReading) -> list[str]:
    """Return the names of the policies."""
    return [policy.name for policy in found.policies.values()]


def test_every_toml_and_json_file_is_a_policy(folder: Path, bundle: Bundle) -> None:
    """In the order of their names; hidden files, as ConfigMaps have them, are left alone."""
    assert [path.name for path in policy_files(folder)] == ["a.json", "b.toml"]
    found = read(folder, bundle)
    assert (names(found), found.refused) == (["alpha", "beta"], {})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "alpha", "version": "2"}, "holds policy 'alpha', as does a.json; expected each name once"),
        ({"name": "default", "version": "2"}, "as does the default policy"),
        ({"name": "floor"}, "means something else"),
        ({"name": "*"}, "means something else"),
        ({"name": "gamma", "taxonomy": "toxicity"}, "over taxonomy 'toxicity'"),
        ({"name": "gamma", "banned": ["X"]}, "names 'X'"),
        ({"name": "gamma", "max_banned_to_safe_rate": 2}, "less than 1"),
        ({"name": "beta", "banned": ["J"]}, "another policy under the name and version in use, beta 1"),
    ],
)
def test_a_refused_file_keeps_what_it_held_before(
    folder: Path, bundle: Bundle, fields: dict[str, Any], said: str
) -> None:
    """The others decide as ever."""
    before = read(folder, bundle)
    write(folder / "b.toml", **fields)
    found = read(folder, bundle, before)
    assert list(found.refused) == ["b.toml"]
    assert said in found.refused["b.toml"]
    assert found.policies == before.policies


def test_a_file_that_was_never_good_gives_nothing(folder: Path, bundle: Bundle) -> None:
    """At the start there is no policy to keep."""
    (folder / "b.toml").write_text("name =")
    found = read(folder, bundle)
    assert (names(found), list(found.refused)) == (["alpha"], ["b.toml"])
    write(folder / "b.toml", name="beta")
    assert names(read(folder, bundle, found)) == ["alpha", "beta"]


def test_files_come_and_go_and_policies_get_new_versions(folder: Path, bundle: Bundle) -> None:
    """What a folder holds is what decides."""
    before = read(folder, bundle)
    (folder / "a.json").unlink()
    write(folder / "b.toml", name="beta", version="2", banned=["J"])
    write(folder / "c.toml", name="gamma")
    found = read(folder, bundle, before)
    assert [f"{policy.name} {policy.version}" for policy in found.policies.values()] == ["beta 2", "gamma 1"]


def test_what_is_over_another_taxonomy_is_not_kept(folder: Path, bundle: Bundle, tmp_path: Path) -> None:
    """After a new bundle the old policies ban what is not there."""
    before = read(folder, bundle)
    other = load_bundle(tiny_bundle(tmp_path / "other", shipped_taxonomy("toxicity")))
    found = read_folder(folder, other, Policy.default_for(other.taxonomy), before=before)
    assert (names(found), list(found.refused)) == ([], ["a.json", "b.toml"])


def test_a_folder_that_is_not_there_says_so(tmp_path: Path, bundle: Bundle) -> None:
    """It is a fault of the settings or of the mount, and of no policy."""
    with pytest.raises(PolicyError, match="cannot be listed"):
        read(tmp_path / "missing", bundle)
