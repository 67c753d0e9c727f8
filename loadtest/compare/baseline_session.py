"""The bare limit of classification: tokenizer and ONNX session alone, straight from the bundle's files, no Kafka.

Texts come rendered, so that this module needs none of the project's code. The session has the options of the worker's,
batches run side by side on one thread each as in the worker, and follow the worker's rule, but over all texts at once:
nothing that reads from a stream can sort better.

Invariant: what is timed is tokenising, batching, padding and inference, and nothing else.
"""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from tokenizers import Tokenizer

from loadtest.errors import LoadTestError

# As in the worker: read when the library loads, and the only complete way out of its telemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

_N_WARM_UP: Final = 32


def plan_batches(lengths: Sequence[int], *, max_padded_tokens: int, max_rows: int) -> list[list[int]]:
    """Plan batches of positions, shortest rows first, each of at most `rows x longest row` padded tokens.

    The rule is the worker's; a test holds the two against each other.
    """
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batches and len(batches[-1]) < max_rows and (len(batches[-1]) + 1) * lengths[index] <= max_padded_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches


class BaselineSession:
    """A bundle's tokenizer and model.

    Args:
        bundle: Bundle folder; its digests are the worker's to check.
        n_threads: Batches that are inferred side by side, one thread each.

    Raises:
        LoadTestError: the folder is not a bundle.
    """

    def __init__(self, bundle: Path, *, n_threads: int) -> None:
        try:
            manifest = orjson.loads((bundle / "manifest.json").read_bytes())
            tokenizer = Tokenizer.from_str((bundle / "tokenizer.json").read_text("utf-8"))
            model = (bundle / "model.onnx").read_bytes()
            max_tokens = int(manifest["windowing"]["max_tokens"])
        except (OSError, ValueError, KeyError) as error:
            raise LoadTestError(f"{bundle}: not a bundle folder ({error}); name one with --bundle") from error
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens, direction="left")
        tokenizer.encode_special_tokens = True
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._tokenizer = tokenizer
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._parallel = ThreadPoolExecutor(n_threads)
        self._pad_id = tokenizer.token_to_id("[PAD]") or 0
        self._labels: list[str] = manifest["labels"]

    def measure(self, texts: Sequence[str], *, max_padded_tokens: int, max_rows: int) -> dict[str, Any]:
        """Classify texts once, after a short warm-up, and return time, tokens and the category of each text."""
        self._classify(texts[:_N_WARM_UP], max_padded_tokens=max_padded_tokens, max_rows=max_rows)
        started, cpu_started = time.perf_counter(), time.process_time()
        categories, n_tokens, n_padded = self._classify(texts, max_padded_tokens=max_padded_tokens, max_rows=max_rows)
        return {
            "elapsed_s": time.perf_counter() - started,
            "cpu_s": time.process_time() - cpu_started,
            "n_texts": len(texts),
            "n_tokens": n_tokens,
            "n_padded_tokens": n_padded,
            "categories": categories,
        }

    def _classify(self, texts: Sequence[str], *, max_padded_tokens: int, max_rows: int) -> tuple[list[str], int, int]:
        rows = [np.asarray(row.ids, dtype=np.int64) for row in self._tokenizer.encode_batch_fast(list(texts))]
        lengths = [len(row) for row in rows]
        categories, n_padded = [""] * len(rows), 0
        # Longest rows first: what is left for the end, when sessions fall idle, is short.
        batches = plan_batches(lengths, max_padded_tokens=max_padded_tokens, max_rows=max_rows)[::-1]
        results = self._parallel.map(self._logits, [[rows[index] for index in batch] for batch in batches])
        for batch, logits in zip(batches, results, strict=True):
            n_padded += len(batch) * lengths[batch[-1]]
            for index, column in zip(batch, logits.argmax(axis=1), strict=True):
                categories[index] = self._labels[int(column)]
        return categories, sum(lengths), n_padded

    def _logits(self, rows: Sequence[NDArray[np.int64]]) -> NDArray[np.float32]:
        """Return logits, float32 [n_rows, n_labels], for rows padded to the longest."""
        longest = max(len(row) for row in rows)
        input_ids = np.full((len(rows), longest), self._pad_id, dtype=np.int64)
        attention_mask = np.zeros((len(rows), longest), dtype=np.int64)
        for i, row in enumerate(rows):
            input_ids[i, : len(row)] = row
            attention_mask[i, : len(row)] = 1
        (logits,) = self._session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})
        result: NDArray[np.float32] = logits
        return result
