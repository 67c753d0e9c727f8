"""Classification as it is done without care for length: every chat padded to one width, one at a time, on all threads.

The session has ONNX Runtime's defaults, but for the threads, which do not spin, as in the worker: they would take the
CPU from whatever else runs, and the figure would tell of the machine.

Invariant: what is timed is tokenising, padding and inference, and nothing else.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from tokenizers import Tokenizer

from loadtest.errors import LoadTestError

# As in the worker: read when the library loads, and the only complete way out of its telemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

_N_WARM_UP: Final = 3


@dataclass(frozen=True)
class PaddedModel:
    """A model and the width to which its input is padded."""

    model: Path
    tokenizer: Path
    """The tokenizer.json of the bundle; the reference takes it too, whose vocabulary is no smaller."""
    n_tokens: int


class PaddedSession:
    """A loaded model.

    Args:
        padded: Model and width.
        n_threads: Threads of one inference.

    Raises:
        LoadTestError: a file of it cannot be read.
    """

    def __init__(self, padded: PaddedModel, *, n_threads: int) -> None:
        try:
            tokenizer = Tokenizer.from_str(padded.tokenizer.read_text("utf-8"))
            model = padded.model.read_bytes()
        except OSError as error:
            raise LoadTestError(f"{error.filename}: cannot be read ({error.strerror}); expected a model") from error
        tokenizer.enable_truncation(padded.n_tokens, direction="left")
        tokenizer.enable_padding(length=padded.n_tokens, pad_id=tokenizer.token_to_id("[PAD]") or 0)
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._tokenizer = tokenizer
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def measure(self, texts: Sequence[str]) -> dict[str, Any]:
        """Classify texts one at a time, after a short warm-up; return time and width."""
        for text in texts[:_N_WARM_UP]:
            self._classify(text)
        started = time.perf_counter()
        n_tokens = sum(self._classify(text) for text in texts)
        return {
            "elapsed_s": time.perf_counter() - started,
            "n_texts": len(texts),
            "n_padded_tokens": n_tokens,
        }

    def _classify(self, text: str) -> int:
        """Classify one text and return the number of tokens that were computed."""
        row = self._tokenizer.encode(text)
        inputs = {"input_ids": row.ids, "attention_mask": row.attention_mask}
        arrays = {name: np.asarray([values], dtype=np.int64) for name, values in inputs.items()}
        self._session.run(["logits"], arrays)
        return arrays["input_ids"].size
