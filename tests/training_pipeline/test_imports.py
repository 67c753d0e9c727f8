"""Commands that train nothing neither wait for torch nor need it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "module",
    ["training_pipeline.command_line", "training_pipeline.bundle.export", "training_pipeline.quality.evaluate"],
)
def test_torch_is_not_imported_before_it_is_needed(module: str) -> None:
    """Seconds of every `--help`, and 5 GB that `evaluate` of a bundle has no use for."""
    code = f"import sys, {module}; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_the_data_stages_need_the_data_extra_alone(tmp_path: Path) -> None:
    """`extract` asked for onnx, which is of the training extra."""
    repository = Path(__file__).parents[2]
    extras = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    # Modules of the training extra that the data extra, or what it needs, does not bring.
    names = {"onnx", "pyyaml", "torch", "transformers", "accelerate", "safetensors", "optuna", "statsmodels", "jinja2"}
    assert names <= {re.split(r"[^\w-]", line)[0] for line in extras["training"]}
    assert not names & {re.split(r"[^\w-]", line)[0] for line in extras["data"]}
    blocked = sorted(names - {"pyyaml"} | {"yaml"})
    code = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from training_pipeline.__main__ import main
main()
"""
    (tmp_path / "in.jsonl").write_bytes(b'{"chat_id":"c","query":"hi"}\n')
    command = [
        sys.executable,
        "-c",
        code,
        "extract",
        "--records",
        tmp_path / "in.jsonl",
        "--out",
        tmp_path / "out.jsonl",
    ]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jsonl").stat().st_size > 0
