"""Every `python -m X` says what it is for and starts nothing; what needs an extra that is missing names it."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.command_help import WITH_CONSOLE, WITH_TRAINING, check_help, commands, run_python


def test_the_commands_are_found() -> None:
    """A search that finds nothing would test nothing."""
    found = set(commands())
    assert {"worker", "deploy.demo", "deploy.image_size", "deploy.go_tools", "training_pipeline.data"} <= found
    assert {*WITH_CONSOLE, *WITH_TRAINING} <= found


@pytest.mark.parametrize("name", [name for name in commands() if name not in {*WITH_CONSOLE, *WITH_TRAINING}])
def test_help_prints_the_usage_and_does_nothing_else(name: str, tmp_path: Path) -> None:
    """A newcomer tries it first; one command installed packages for minutes instead, another failed."""
    check_help(name, tmp_path)


_WITHOUT = """
import runpy, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = {arguments!r}
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_TRAINING = ("torch", "transformers", "onnx", "accelerate", "safetensors", "optuna", "codecarbon", "scipy", "sklearn")
_DATA = ("lingua", "datasketch", "openai", "phonenumbers", "pyarrow", "tenacity")


def run_without(missing: tuple[str, ...], arguments: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a module as where these packages are not installed."""
    return run_python(["-c", _WITHOUT.format(missing=set(missing), arguments=arguments)], folder)


@pytest.mark.parametrize("missing", ["torch", "all"])
def test_without_the_training_extra_the_command_that_installs_it_is_named(missing: str, tmp_path: Path) -> None:
    """Not a traceback of imports."""
    packages = (*_TRAINING, *_DATA) if missing == "all" else (missing,)
    done = run_without(packages, ["training_pipeline", "--help"], tmp_path)
    if done.returncode == 0:
        assert "usage: " in done.stdout.lower()
    else:
        assert done.returncode == 3, done.stderr
        assert "run `make setup-training`" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_console_extra_the_command_that_installs_it_is_named(tmp_path: Path) -> None:
    """`make help` lists the command before anybody has installed the extra."""
    done = run_without(("fastapi", "uvicorn", "httptools", "uvloop"), ["console", "--help"], tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: fastapi is not installed; expected the console extra; run `make setup-console`\n"


def test_a_stage_alone_names_the_extra_too(tmp_path: Path) -> None:
    """`--help` needs none of its packages; the work does."""
    chats = tmp_path / "chats.jsonl"
    message = {"role": "user", "content": "How do I bake bread at home without a machine?"}
    chats.write_text("".join(json.dumps({"chat_id": f"c-{i}", "messages": [message]}) + "\n" for i in range(3)))
    arguments = ["training_pipeline.data", "preprocess", "--data", str(chats), "--out", str(tmp_path / "out.jsonl")]
    done = run_without((*_TRAINING, *_DATA), arguments, tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "run `make setup-training`" in done.stderr
    assert "Traceback" not in done.stderr
