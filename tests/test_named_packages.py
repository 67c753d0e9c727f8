"""No message, script or document has a person install a package by a name that anybody could have registered."""

import re
import tomllib
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_INSTALLS = re.compile(r"\b(?:pip3?|pipx|uv pip|uv tool) install (?P<what>[^`\n]*)|\buv add (?P<added>[^`\n]*)")
_LOCKED = re.compile(r"--require-hashes|-r \S*requirements\S*|--help")
_OURS = re.compile(r"\bverdictstream\[")


def texts() -> dict[Path, str]:
    """Return every text that a person or a machine follows."""
    found = {}
    for path in sorted(_ROOT.rglob("*")):
        parts = path.relative_to(_ROOT).parts
        if any(
            part.startswith(".") or part in {"work", "runs", "node_modules", "target", "__pycache__"} for part in parts
        ):
            continue
        is_text = path.suffix in {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".tpl", ".txt"}
        if path.is_file() and (is_text or path.name in {"Makefile", "Dockerfile"}) and path != Path(__file__):
            found[path] = path.read_text("utf-8")
    return found


def test_what_is_installed_comes_from_a_lock() -> None:
    """`pip install 'verdictstream[signing]'` asks an index where the name is anybody's."""
    wrong = []
    for path, text in texts().items():
        installs = [found.group(0) for found in _INSTALLS.finditer(text)]
        wrong += [f"{path.relative_to(_ROOT)}: {one}" for one in installs if not _LOCKED.search(one)]
        # The project's own extras name one another; nothing else may.
        if path.name != "pyproject.toml" and _OURS.search(text):
            wrong.append(f"{path.relative_to(_ROOT)}: names the package with an extra")
    assert not wrong


def test_every_package_of_the_training_extra_is_in_its_lock() -> None:
    """codecarbon, too: what a command imports must come with hashes."""
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    locked = (_ROOT / "requirements-training.lock").read_text("utf-8")
    names = [re.split(r"[\[>=<; ]", one)[0] for one in [*extras["training"], *extras["data"]]]
    assert "codecarbon" in names
    missing = [name for name in names if name != "verdictstream" and f"\n{name}==" not in f"\n{locked}"]
    assert not missing
