"""How good the bundle is that a comparison runs: from its manifest, or measured anew on labelled chats."""

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from loadtest.errors import LoadTestError

_OPERATING_POINT: Final = "banned_to_safe_rate_at_safe_to_banned_0.029"


def manifest_quality(bundle: Path) -> dict[str, Any]:
    """Return the figures the bundle was exported with, on the chats whose annotators agree; None for what it lacks.

    Raises:
        LoadTestError: the folder is not a bundle.
    """
    try:
        manifest = orjson.loads((bundle / "manifest.json").read_bytes())
    except (OSError, ValueError) as error:
        raise LoadTestError(f"{bundle}: not a bundle folder ({error}); name one with --bundle") from error
    measured = manifest.get("metrics", {}).get("dev", {})
    return _figures(measured.get("agreed", {}), str(measured.get("digest", "unknown")), "manifest")


def measured_quality(bundle: Path, data: Path, *, n_threads: int) -> dict[str, Any]:
    """Return the figures on a file of labelled chats, measured by `python -m training_pipeline evaluate`.

    Raises:
        LoadTestError: it failed; its own error is on stderr.
    """
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory(prefix="verdictstream-loadtest-") as folder:
        out = Path(folder) / "evaluation.json"
        command = [sys.executable, "-m", "training_pipeline", "evaluate", "--bundle", str(bundle), "--data", str(data)]
        command += ["--threads", str(n_threads), "--bootstrap", "0", "--timed-chats", "0", "--no-attacks"]
        done = subprocess.run([*command, "--out", str(out)], stdout=subprocess.PIPE, check=False)  # noqa: S603  our own command line
        if done.returncode:
            raise LoadTestError(
                f"`python -m training_pipeline evaluate` ended with exit code {done.returncode}; see its error above; "
                "it needs the extra `data`"
            )
        document = orjson.loads(out.read_bytes())
    return _figures(document["agreed"], f"sha256:{digest}", "measured")


def _figures(agreed: Mapping[str, Any], digest: str, source: str) -> dict[str, Any]:
    return {
        "dev_accuracy": agreed.get("accuracy"),
        "dev_banned_to_safe": agreed.get(_OPERATING_POINT),
        "dev_n_chats": agreed.get("n_chats"),
        "dev_digest": digest,
        "dev_source": source,
    }
