"""One ONNX Runtime session on CPU: token rows in, logits out.

Threads follow the cgroup's CPU quota and never spin: a spinning pool would take the CPU from the Kafka threads of
the same pod. The model is created from verified bytes, so external weight data cannot be reached.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.calibration import FloatArray
from model.errors import BundleError
from model.inference.onnx_runtime import LOAD_ERRORS, ort
from model.tokenization import TokenIds

_EXPECTED_INPUTS = {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}


class OnnxSession:
    """A loaded model.

    Args:
        model: Contents of model.onnx.
        n_threads: Threads of one inference, at least 1.
        pad_id: Token id that fills short rows.
        n_categories: Of the bundle's taxonomy; of an encoder, the dimensions of its vectors.
        output: `logits` of a classifier, `embeddings` of an encoder.

    Raises:
        BundleError: ONNX Runtime does not load the model, or its inputs or outputs are other ones.
    """

    def __init__(self, model: bytes, *, n_threads: int, pad_id: int, n_categories: int, output: str = "logits") -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.inter_op_num_threads = 1
        # Whatever is wrong is raised, too; the library's own lines would wait where nobody reads standard error.
        options.log_severity_level = 4
        # Rows differ in length from batch to batch, so remembered allocation patterns would only pile up.
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._pad_id = pad_id
        self.n_categories = n_categories
        self._output = output
        try:
            # Without the fallback, which would print and try the same once more.
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"], enable_fallback=0)
            self._check_signature(n_categories)
        except LOAD_ERRORS as error:
            raise BundleError(
                f"model.onnx does not load in ONNX Runtime {ort.__version__}: {error}; expected the file that `export` "
                "wrote; export the bundle again"
            ) from error

    def _check_signature(self, n_categories: int) -> None:
        inputs = {node.name: node.type for node in self._session.get_inputs()}
        outputs = [(node.name, node.shape[-1]) for node in self._session.get_outputs()]
        if inputs != _EXPECTED_INPUTS or outputs != [(self._output, n_categories)]:
            raise BundleError(
                f"model.onnx has inputs {inputs} and outputs {outputs}; "
                f"expected {_EXPECTED_INPUTS} and {self._output} with {n_categories} columns"
            )

    def logits(self, rows: Sequence[TokenIds], options: ort.RunOptions | None = None) -> FloatArray:
        """Return the output, float32 [n_rows, n_categories], for token rows of any lengths, padded to the longest.

        Args:
            rows: At least one.
            options: Holds the flag by which another thread ends the run.

        Raises:
            One of `RUN_ERRORS`: the model failed on this batch, or the run was ended.
        """
        (output,) = self._session.run([self._output], padded(rows, self._pad_id), options)
        result: FloatArray = output
        return result


def padded(rows: Sequence[TokenIds], pad_id: int) -> dict[str, NDArray[np.int64]]:
    """Return a model's inputs, int64 [n_rows, longest], by name: the rows filled up to the longest, and where they end.

    Args:
        rows: At least one.
        pad_id: Token id that fills short rows.
    """
    longest = max(len(row) for row in rows)
    input_ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    attention_mask = np.zeros((len(rows), longest), dtype=np.int64)
    for i, row in enumerate(rows):
        input_ids[i, : len(row)] = row
        attention_mask[i, : len(row)] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask}
