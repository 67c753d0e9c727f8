"""The images: linted, its steps taken outside a container, and nothing in it that does not serve."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.image_size import take_steps
from tests.deploy.chart import DEPLOY

_DOCKERFILE = DEPLOY / "Dockerfile"
_IGNORE = DEPLOY / "Dockerfile.dockerignore"


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
    sizes = take_steps(tmp_path, "worker")
    assert sizes["added"] < 400_000_000
    assert not (tmp_path / "opt" / "venv" / "bin" / "pip").exists()
    assert list((tmp_path / "app" / "worker").glob("__pycache__/*.pyc"))


@pytest.mark.services  # installs packages
@pytest.mark.timeout(900)
def test_the_console_starts_from_what_its_image_holds(tmp_path: Path) -> None:
    """Its lock alone, and the worker's rooms: none of the clients that it is tested with, no pip, no torch."""
    sizes = take_steps(tmp_path, "console")
    assert sizes["added"] < 450_000_000
    assert list((tmp_path / "app" / "console").glob("__pycache__/*.pyc"))


def test_the_dockerfile_has_the_steps_that_are_taken_outside() -> None:
    """`deploy/image_size.py` repeats these; a change of one must reach the other."""
    install = "pip --python /opt/venv/bin/python install --require-hashes --only-binary :all:"
    steps = {
        "RUN python -m venv --without-pip /opt/venv",
        f"RUN {install} -r requirements-serving.lock",
        f"RUN {install} -r requirements-console.lock",
        "RUN /opt/venv/bin/python -m compileall -q schemas model worker",
        "RUN /opt/venv/bin/python -m compileall -q schemas model worker console",
        'ENTRYPOINT ["python", "-m", "worker"]',
    }
    assert steps <= set(_instructions())


def _stages() -> dict[str, tuple[str, list[str]]]:
    """Return each stage's base and instructions, by its name."""
    stages: dict[str, tuple[str, list[str]]] = {}
    for line in _instructions():
        if line.startswith("FROM "):
            _, base, _, name = line.split()
            stages[name] = (base, [])
        elif stages:
            stages[next(reversed(stages))][1].append(line)
    return stages


def _with_bases(name: str) -> list[str]:
    """Return the instructions of a stage, those of its bases first."""
    base, lines = _stages()[name]
    return [*(_with_bases(base) if base in _stages() else []), *lines]


def test_the_worker_is_what_is_built_where_no_target_is_named() -> None:
    """Docker builds the last stage."""
    assert list(_stages())[-1] == "worker"


@pytest.mark.parametrize("name", ["worker", "console"])
def test_an_image_holds_what_serves_and_runs_as_nobody_special(name: str) -> None:
    """Build tools stay in another stage; a fixed numeric user satisfies runAsNonRoot."""
    lines = _with_bases(name)
    copied = [line for line in lines if line.startswith("COPY ")]
    assert copied == [f"COPY --from=build-{name} /opt/venv /opt/venv", f"COPY --from=build-{name} /app /app"]
    assert lines.count("USER 10001:10001") == 1
    assert not [line for line in lines if "pip" in line]
    built = _with_bases(f"build-{name}")
    folders = [line.split()[1] for line in built if line.startswith("COPY ")]
    lock = {"worker": "requirements-serving.lock", "console": "requirements-console.lock"}[name]
    assert sorted(folders) == sorted(["LICENSE", "schemas", "model", lock, *({"worker", name})])


def test_the_console_has_the_steps_of_the_worker_with_its_own_lock() -> None:
    """Hashed wheels into an environment without pip; the clients that it is tested with stay out."""
    of_worker, of_console = _with_bases("build-worker"), _with_bases("build-console")
    as_worker = [
        line.replace("requirements-console.lock", "requirements-serving.lock").replace(
            "model worker console", "model worker"
        )
        for line in of_console
        if line != "COPY console console"
    ]
    assert as_worker == of_worker
    assert 'ENTRYPOINT ["python", "-m", "console"]' in _with_bases("console")


def test_every_folder_and_lock_that_is_copied_reaches_the_build() -> None:
    """What .dockerignore leaves out cannot be copied."""
    sent = {line[1:] for line in _IGNORE.read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {
        source
        for line in _instructions()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == sent


@pytest.mark.parametrize(
    ("release", "image", "is_built"),
    [
        ("false", "python:3.12-slim", True),
        ("true", "python:3.12-slim", False),
        ("true", "python:3.12-slim@sha256:abc", False),
        ("true", f"python:3.12-slim@sha256:{'a' * 64}", True),
        ("yes", f"python:3.12-slim@sha256:{'a' * 64}", False),
    ],
)
def test_a_release_is_refused_on_a_base_without_a_digest(release: str, image: str, is_built: bool) -> None:
    """Every stage comes from this one. Its step is run by the shell that Docker would run it with."""
    base, lines = _stages()["base"]
    assert base == "${PYTHON_IMAGE}"
    assert all(_root_of(name) == "base" for name in _stages())
    (step,) = [line.removeprefix("RUN ") for line in lines if line.startswith("RUN ")]
    environment = {"PYTHON_IMAGE": image, "RELEASE": release, "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", step], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) is is_built
    assert is_built or f"PYTHON_IMAGE={image}; expected an image with its digest" in done.stderr


def _root_of(name: str) -> str:
    base, _ = _stages()[name]
    return _root_of(base) if base in _stages() else name


def test_docker_and_compose_build_on_the_same_python_by_default() -> None:
    """A tag of its own, not `latest`."""
    (default,) = [line for line in _instructions() if line.startswith("ARG PYTHON_IMAGE=")]
    assert re.fullmatch(r"ARG PYTHON_IMAGE=python:3\.\d+-slim", default)


@pytest.mark.parametrize(("name", "variable"), [("worker", "MODERATION_HTTP__PORT"), ("console", "CONSOLE_HTTP__PORT")])
def test_docker_asks_whether_it_is_ready(name: str, variable: str) -> None:
    """On the port that the image itself sets."""
    lines = _with_bases(name)
    (check,) = [line for line in lines if line.startswith("HEALTHCHECK")]
    (environment,) = [line for line in lines if variable in line]
    port = environment.rpartition(f"{variable}=")[2]
    assert f"http://127.0.0.1:{port}/readyz" in check
    assert f"EXPOSE {port}" in lines
