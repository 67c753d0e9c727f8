"""Turn rendered conversations into token ids with the bundle's tokenizer.

Serving and training both tokenise here. Truncation drops the oldest tokens, because the latest user turn decides the
category. Special tokens that a user types ("[SEP]", "[PAD]") are read as ordinary text, so that nobody can end or pad a
row from inside a message.
"""

from collections.abc import Sequence

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import Tokenizer

from model.errors import BundleError

TokenIds = NDArray[np.int64]


class ConversationTokenizer:
    """A `tokenizers.Tokenizer` with the truncation and the safety rules of this project.

    Args:
        tokenizer_json: Contents of the bundle's tokenizer.json.
        max_tokens: Longest row, special tokens included.

    Raises:
        BundleError: it is no tokenizer, or one that cannot read a text.
    """

    def __init__(self, tokenizer_json: str, *, max_tokens: int) -> None:
        try:
            self._tokenizer = Tokenizer.from_str(tokenizer_json)
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(max_tokens, direction="left")
            self._tokenizer.encode_special_tokens = True
            # What is missing in the vocabulary shows only at a word that is not in it.
            self._tokenizer.encode_batch_fast(["", "hello \u3042 \U0001f600 \ufffd"])
        except BaseException as error:
            # The library raises nothing more special than `Exception`, and its panics are not even that.
            if type(error) is not Exception and type(error).__name__ != "PanicException":
                raise
            raise BundleError(
                f"tokenizer.json does not load in tokenizers {tokenizers.__version__}: {error}; expected the file that "
                "`export` wrote; export the bundle again"
            ) from error
        self.pad_id: int = self._tokenizer.token_to_id("[PAD]") or 0
        self.max_tokens = max_tokens

    @property
    def n_token_ids(self) -> int:
        """Return one more than the largest token id."""
        return 1 + max(self._tokenizer.get_vocab().values())

    def encode(self, texts: Sequence[str]) -> list[TokenIds]:
        """Tokenise texts; row i of the result holds text i, int64 [n_tokens], 2 <= n_tokens <= max_tokens."""
        return [np.asarray(row.ids, dtype=np.int64) for row in self._tokenizer.encode_batch_fast(list(texts))]

    def encode_whole(self, texts: Sequence[str]) -> list[list[TokenIds]]:
        """Tokenise texts without losing any of them: text i has one row or, where it is too long, several."""
        return [
            [np.asarray(row.ids, dtype=np.int64) for row in (encoding, *encoding.overflowing)]
            for encoding in self._tokenizer.encode_batch_fast(list(texts))
        ]
