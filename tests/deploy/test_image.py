"""The image: linted, its steps taken outside a container, and nothing in it that does not serve."""

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image_size import take_steps
from tests.deploy.chart import DEPLOY

_DOCKERFILE = DEPLOY / "Dockerfile"


def _instructions() -> list[str]:
    joined = _DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line and not line.startswith("#")]


def test_hadolint_finds_nothing() -> None:
    """Not even a remark."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [str(hadolint), "--failure-threshold", "style", str(_DOCKERFILE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.services  # installs packages
@pytest.mark.timeout(900)
def test_the_steps_work_outside_a_container_and_what_they_add_stays_small(tmp_path: Path) -> None:
    """Locked wheels into an environment without pip, three folders, no torch, and the worker's command line starts."""
    sizes = take_steps(tmp_path)
    assert sizes["added"] < 400_000_000
    assert not (tmp_path / "opt" / "venv" / "bin" / "pip").exists()
    assert list((tmp_path / "app" / "worker").glob("__pycache__/*.pyc"))


def test_the_dockerfile_has_the_steps_that_are_taken_outside() -> None:
    """`deploy/image_size.py` repeats these; a change of one must reach the other."""
    install = "pip --python /opt/venv/bin/python install --require-hashes --only-binary :all:"
    steps = {
        "RUN python -m venv --without-pip /opt/venv",
        f"RUN {install} -r requirements-serving.lock",
        "RUN /opt/venv/bin/python -m compileall -q schemas model worker",
        'ENTRYPOINT ["python", "-m", "worker"]',
    }
    assert steps <= set(_instructions())


def test_docker_asks_the_worker_whether_it_is_ready() -> None:
    """On the port that the image itself sets."""
    (check,) = [line for line in _instructions() if line.startswith("HEALTHCHECK")]
    (environment,) = [line for line in _instructions() if "MODERATION_HTTP__PORT" in line]
    port = environment.rpartition("MODERATION_HTTP__PORT=")[2]
    assert f"http://127.0.0.1:{port}/readyz" in check
    assert f"EXPOSE {port}" in _instructions()
