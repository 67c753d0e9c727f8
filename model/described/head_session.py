"""A session whose logits a head makes of the frozen encoder's vectors."""

from collections.abc import Sequence

from model.calibration import FloatArray
from model.described.frozen_encoder import unit_rows
from model.described.head import Head
from model.inference.onnx_runtime import ort
from model.inference.session import OnnxSession
from model.tokenization import TokenIds


class HeadSession(OnnxSession):
    """The encoder, loaded, with a head on top.

    Args:
        encoder: Contents of the encoder's model.onnx.
        head: Fitted on its vectors.
        n_threads: Threads of one inference, at least 1.
        pad_id: Token id that fills short rows.

    Raises:
        BundleError: ONNX Runtime does not load the encoder, or it is none.
    """

    def __init__(self, encoder: bytes, head: Head, *, n_threads: int, pad_id: int) -> None:
        super().__init__(
            encoder, n_threads=n_threads, pad_id=pad_id, n_categories=len(head.weights), output="embeddings"
        )
        self._head = head
        self.n_categories = len(head.bias)

    def logits(self, rows: Sequence[TokenIds], options: ort.RunOptions | None = None) -> FloatArray:
        """Return logits, float32 [n_rows, n_categories]; see `OnnxSession.logits`."""
        return self._head.logits(unit_rows(super().logits(rows, options)))
