"""Render the chart with the pinned helm."""

import subprocess
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
CHART: Final = DEPLOY / "helm" / "verdictstream"
EXAMPLES: Final = {path.stem: path for path in sorted((DEPLOY / "helm" / "examples").glob("*.yaml"))}

MINIMAL: Final = (
    "image.repository=registry.example.com/worker",
    "kafka.bootstrapServers=kafka:9092",
    "redis.url=redis://redis:6379/0",
)
"""The values without which the chart refuses to render, as `--set` takes them."""

KUBERNETES: Final = "1.35.0"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Helm:
    """The helm program."""

    path: Path

    def run(self, *arguments: str, kubernetes: str | None = KUBERNETES) -> "subprocess.CompletedProcess[str]":
        """Run helm. A build of our own does not know which Kubernetes it is for: that is said, or a cluster asked."""
        command = [str(self.path), *arguments, *([] if kubernetes is None else ["--kube-version", kubernetes])]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def render(self, *values: Path, sets: tuple[str, ...] = ()) -> list[Manifest]:
        """Return the manifests of a release called `live`."""
        return deepcopy(_rendered(self, _arguments(values, sets)))

    def refusal(self, *sets: str, kubernetes: str = KUBERNETES) -> str:
        """Return what helm says to the minimal values and these."""
        done = self.run("template", "live", str(CHART), *_arguments((), (*MINIMAL, *sets)), kubernetes=kubernetes)
        assert done.returncode != 0, done.stdout
        return done.stderr


@cache
def _rendered(helm: Helm, arguments: tuple[str, ...]) -> list[Manifest]:
    """Render each set of values once: starting helm costs more than all checks of a test."""
    done = helm.run("template", "live", str(CHART), *arguments)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.load_all(done.stdout, yaml.CSafeLoader) if manifest]


def _arguments(values: tuple[Path, ...], sets: tuple[str, ...]) -> tuple[str, ...]:
    return (*(f"--values={path}" for path in values), *(f"--set={one}" for one in sets))


def one(manifests: list[Manifest], kind: str) -> Manifest:
    """Return the only manifest of this kind."""
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def without_console(manifests: list[Manifest]) -> list[Manifest]:
    """Return what is there for workers and replays."""
    return [manifest for manifest in manifests if not manifest["metadata"]["name"].endswith("-console")]


def pod_specs(manifests: list[Manifest]) -> list[dict[str, Any]]:
    """Return the pods of all workloads."""
    return [m["spec"]["template"]["spec"] for m in manifests if m["kind"] in {"Deployment", "StatefulSet", "Job"}]


def environment(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the first container's environment: name to its value, or to where the value comes from."""
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["containers"][0]["env"]}
