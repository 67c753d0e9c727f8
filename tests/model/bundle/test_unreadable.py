"""Files whose digests are right and whose contents are not are refused: the bundle is at fault and not the program."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from model import BundleError, Classifier, load_bundle
from model.bundle.files import read_regular
from model.bundle.registry import read_registry
from model.bundle.signature import read_public_key
from schemas.taxonomy import shipped_taxonomy
from tests.bundles import bundle_variant, registry_of_two
from tests.tiny_bundle import tiny_bundle

TOXICITY = shipped_taxonomy("toxicity")
SECRET = "hunter2-canary-91d3"  # noqa: S105  must not show anywhere


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return a bundle of a few kilobytes."""
    return tiny_bundle(tmp_path / "tiny", TOXICITY, {"stupid": "toxic"})


def use(folder: Path) -> None:
    """Load a bundle and judge a chat, as a worker does before it serves one."""
    loaded = load_bundle(folder)
    Classifier(loaded, loaded.default_policy, n_threads=1).warm_up()


def damaged(content: bytes, seed: int) -> bytes:
    """Return a file with some bytes changed, cut off, zeroed or doubled."""
    chance = random.Random(seed)  # noqa: S311  the same damage in every run
    at = chance.randrange(len(content))
    match seed % 4:
        case 0:
            changed = bytearray(content)
            for _ in range(chance.choice((1, 3, 30))):
                changed[chance.randrange(min(len(content), chance.choice((200, 5_000, 10**9))))] = chance.randrange(256)
            return bytes(changed)
        case 1:
            return content[:at]
        case 2:
            return content[:at] + bytes(min(100, len(content) - at)) + content[at + 100 :]
    return content[:at] + content[at : at + chance.randrange(100)] + content[at:]


@pytest.mark.parametrize("name", ["tokenizer.json", "model.onnx", "calibration.json"])
def test_no_damage_to_a_file_is_more_than_a_refused_bundle(
    tiny: Path, tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 at the start and an alarm at a reload; damage that leaves a usable file is another matter."""
    content, n_refused = (tiny / name).read_bytes(), 0
    for seed in range(40):
        folder = bundle_variant(tiny, tmp_path / str(seed), version="2", files={name: damaged(content, seed)})
        try:
            use(folder)
        except BundleError:
            n_refused += 1
        shutil.rmtree(folder)
    assert n_refused > 20
    assert "EP Error" not in capfd.readouterr().out


def _npz_with_a_torn_header(content: bytes) -> bytes:
    return content.replace(b"'fortran_order'", b"'fortran_order(", 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("languages.npz", _npz_with_a_torn_header),
        ("languages.npz", lambda content: content[:-30]),
        ("first_stage.npy", lambda content: content.replace(b"'shape': (", b"'shape': [(", 1)),
        ("first_stage.npy", lambda content: content[:60]),
        ("first_stage_network.npz", _npz_with_a_torn_header),
        ("tokenizer.json", lambda content: b"\xff" + content),
        ("tokenizer.json", lambda _: b"{}"),
    ],
)
def test_a_damaged_part_of_the_shipped_bundle_is_named(
    bundle_path: Path, tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    """NumPy reads the header of an array as Python, and fails as Python does."""
    changed = change((bundle_path / name).read_bytes())
    folder = bundle_variant(bundle_path, tmp_path / "copy", version="9", files={name: changed})
    with pytest.raises(BundleError, match=name):
        use(folder)


@pytest.mark.parametrize("name", ["manifest.json", "model.onnx", "tokenizer.json"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tiny: Path, name: str, make: Callable[[Path], None]) -> None:
    """Opening a named pipe that nobody writes to waits for ever, and so would the worker."""
    (tiny / name).unlink()
    make(tiny / name)
    with pytest.raises(BundleError, match=rf"{name}: cannot be read \((no regular file|Is a directory)\)"):
        load_bundle(tiny)


def test_a_pointer_that_is_no_file_is_refused_at_once(bundle_path: Path, tmp_path: Path) -> None:
    """The same of a registry."""
    registry_of_two(bundle_path, tmp_path / "registry")
    (tmp_path / "registry" / "current.json").unlink()
    os.mkfifo(tmp_path / "registry" / "current.json")
    with pytest.raises(BundleError, match="no regular file"):
        load_bundle(tmp_path / "registry")


def test_a_key_that_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """It is read again at every load, in the thread that follows the registry."""
    os.mkfifo(tmp_path / "key.pub")
    with pytest.raises(BundleError, match="no regular file"):
        read_public_key(tmp_path / "key.pub")


def test_a_device_is_no_regular_file() -> None:
    """/dev/zero has no end."""
    with pytest.raises(OSError, match="no regular file"):
        read_regular(Path("/dev/zero"))


def _twice(raw: bytes, key: str, value: object) -> bytes:
    """Return a JSON object with one more pair at its end."""
    return raw.rstrip()[:-1] + b"," + orjson.dumps(key) + b":" + orjson.dumps(value) + b"}"


def test_a_key_that_stands_twice_in_the_manifest_is_refused(tiny: Path) -> None:
    """Reviewers and tools may read the first, the worker the last."""
    raw = (tiny / "manifest.json").read_bytes()
    (tiny / "manifest.json").write_bytes(_twice(raw, "version", "7"))
    with pytest.raises(BundleError, match=r"manifest\.json.*the key 'version' stands twice; expected each key once"):
        load_bundle(tiny)


def test_a_key_that_stands_twice_within_the_manifest_is_refused(tiny: Path) -> None:
    """At any depth: a file's second digest."""
    raw = (tiny / "manifest.json").read_bytes()
    changed = raw.replace(b'"n_bytes":', b'"digest": "sha256:' + b"0" * 64 + b'", "n_bytes":', 1)
    assert changed != raw
    (tiny / "manifest.json").write_bytes(changed)
    with pytest.raises(BundleError, match="the key 'digest' stands twice"):
        load_bundle(tiny)


def test_a_key_that_stands_twice_in_the_pointer_is_refused(bundle_path: Path, tmp_path: Path) -> None:
    """A second `current` behind the one that was looked at."""
    registry = tmp_path / "registry"
    registry_of_two(bundle_path, registry)
    pointer = registry / "current.json"
    current = orjson.loads(pointer.read_bytes())["current"]
    pointer.write_bytes(_twice(pointer.read_bytes(), "current", current))
    with pytest.raises(BundleError, match=r"current\.json.*the key 'current' stands twice"):
        load_bundle(registry)


@pytest.mark.parametrize(
    "content",
    [
        b'{"current": "' + SECRET.encode() + b'"}',
        SECRET.encode(),
        b'{"current": {"location": "' + SECRET.encode() + b'", "digest": 1}}',
        b"\xff\xfe" + SECRET.encode("utf-16-le"),
        b"[" * 100_000 + SECRET.encode(),
    ],
)
def test_what_is_wrong_with_a_pointer_or_manifest_is_told_without_what_it_holds(tmp_path: Path, content: bytes) -> None:
    """The path may lead to a file of secrets by mistake, and errors end in tickets."""
    (tmp_path / "current.json").write_bytes(content)
    with pytest.raises(BundleError, match="not a pointer") as caught:
        read_registry(tmp_path)
    (tmp_path / "current.json").rename(tmp_path / "manifest.json")
    with pytest.raises(BundleError, match="not a manifest") as also:
        load_bundle(tmp_path)
    assert SECRET not in f"{caught.value}{caught.value.__cause__}{also.value}{also.value.__cause__}"


@pytest.mark.parametrize("failing", ["exists", "is_symlink", "iterdir"])
def test_a_volume_that_refuses_to_be_looked_at_is_a_refused_bundle(
    bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    """A stale mount or changed rights: an error of the system in the place of an answer."""
    registry_of_two(bundle_path, tmp_path / "registry")

    def refuse(self: Path, *_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, failing, refuse)
    with pytest.raises(BundleError, match=r"Permission denied|cannot be read"):
        load_bundle(tmp_path / "registry")
