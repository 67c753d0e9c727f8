"""`make sbom` names every package of every image, with its version and digests, as the locks have them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.chart import DEPLOY

_ROOT = DEPLOY.parent
_LOCKS = {"serving": "requirements-serving.lock", "console": "requirements-console.lock"}

pytestmark = pytest.mark.services  # installs packages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the target has written, with an environment of its own."""
    target = tmp_path_factory.mktemp("sbom")
    environment = Path(sys.prefix)
    # This very environment stands for the one of `make setup`, which is not made again.
    variables = [f"VENV={environment}", f"SBOM_VENV={target / 'venv'}", f"SBOM_OUT={target / 'out'}"]
    done = subprocess.run(
        ["make", "sbom", "-o", str(environment / ".setup"), *variables],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return target / "out"


@pytest.mark.timeout(700)
@pytest.mark.parametrize("name", _LOCKS)
def test_the_list_of_an_image_is_its_lock(folder: Path, name: str) -> None:
    """Nothing more, nothing less; CycloneDX' own schema was checked as it was written."""
    written = json.loads((folder / f"{name}.cdx.json").read_text("utf-8"))
    assert (written["bomFormat"], written["metadata"]["component"]["name"]) == ("CycloneDX", "verdictstream")
    lock = (_ROOT / _LOCKS[name]).read_text("utf-8")
    locked = re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock, flags=re.MULTILINE)
    assert sorted((one["name"], one["version"]) for one in written["components"]) == sorted(locked)
    digests = {
        entry["content"]
        for component in written["components"]
        for reference in component["externalReferences"]
        for entry in reference["hashes"]
    }
    assert digests == set(re.findall(r"sha256:([0-9a-f]{64})", lock))


def test_the_lists_are_of_the_locks_that_the_images_install() -> None:
    """A third image, or another lock, is listed too."""
    dockerfile = (DEPLOY / "Dockerfile").read_text("utf-8")
    assert set(re.findall(r"^COPY (\S+\.lock) ", dockerfile, flags=re.MULTILINE)) == set(_LOCKS.values())
