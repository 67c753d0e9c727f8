"""Embed texts with the frozen encoder, as the classifier embeds the chats that it is asked about.

Invariant: a text's vector is the one from which `Classifier` makes its logits, whatever the batch.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from model.batching import plan_batches
from model.calibration import FloatArray
from model.described.frozen_encoder import FrozenEncoder, unit_rows
from model.inference.session import OnnxSession
from model.tokenization import ConversationTokenizer
from model.windowing import Span, Windowing, render
from schemas import Role, Turn

TEXT_WINDOWING: Final = Windowing(
    max_messages=2,
    last_user=Span(head=700, tail=300),
    user=Span(head=300, tail=100),
    other=Span(head=300, tail=100),
    max_tokens=256,
    marks_roles=False,
)
"""The last message and the one before, bare: the encoder was pretrained on sentences and short passages."""

_MAX_PADDED_TOKENS: Final = 1_024
_MAX_ROWS: Final = 64


class Embedder:
    """The encoder, ready to embed. Not to be shared between threads.

    Args:
        encoder: Verified encoder.
        n_threads: Inference threads.
    """

    def __init__(self, encoder: FrozenEncoder, *, n_threads: int) -> None:
        self._tokenizer = ConversationTokenizer(encoder.tokenizer_json, max_tokens=TEXT_WINDOWING.max_tokens)
        self._n_dimensions = encoder.manifest.n_dimensions
        self._session = OnnxSession(
            encoder.model,
            n_threads=n_threads,
            pad_id=self._tokenizer.pad_id,
            n_categories=self._n_dimensions,
            output="embeddings",
        )

    def vectors(self, texts: Sequence[str]) -> FloatArray:
        """Return unit vectors, float32 [n_texts, n_dimensions].

        Args:
            texts: Each with some visible character.
        """
        return self.of_conversations([[Turn(Role.USER, text)] for text in texts])

    def of_conversations(self, conversations: Sequence[Sequence[Turn]]) -> FloatArray:
        """Return unit vectors of what is read of conversations, float32 [n_conversations, n_dimensions].

        Args:
            conversations: Visible turns, oldest first, at least one each.
        """
        rows = self._tokenizer.encode([render(turns, TEXT_WINDOWING) for turns in conversations])
        found = np.zeros((len(rows), self._n_dimensions), dtype=np.float32)
        for batch in plan_batches(list(map(len, rows)), max_padded_tokens=_MAX_PADDED_TOKENS, max_rows=_MAX_ROWS):
            found[batch] = self._session.logits([rows[i] for i in batch])
        return unit_rows(found)
