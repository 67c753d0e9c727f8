"""Cut a WordPiece vocabulary down to the tokens that the training texts use.

WordPiece takes the longest known piece at each place. A text that the whole vocabulary cuts into kept tokens is
therefore cut into the same tokens by the smaller one. Any other text falls back to shorter pieces; all single
characters are kept, so that few words become unknown.

Invariant: tokens keep their order, so the kept rows of the embedding matrix, in order, belong to the new ids.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from model.tokenization import TokenIds

_MAX_PROCESSORS_DEPTH: Final = 4


def used_tokens(rows: Sequence[TokenIds], *, min_count: int) -> set[int]:
    """Return the ids that occur at least `min_count` times in token rows."""
    counts: Counter[int] = Counter()
    for row in rows:
        counts.update(row.tolist())
    return {token for token, count in counts.items() if count >= min_count}


def pruned_tokenizer(tokenizer_json: str, used: Collection[int]) -> tuple[str, NDArray[np.int64]]:
    """Return a tokenizer.json with these tokens, the special ones and all single characters.

    Args:
        tokenizer_json: Contents of the whole tokenizer.json.
        used: Ids to keep.

    Returns:
        The new contents, and int64 [n_kept], the old id of each new one.

    Raises:
        ValueError: the tokenizer is not a WordPiece one, or has a post-processor that is not known here.
    """
    document = orjson.loads(tokenizer_json)
    model = document["model"]
    if model.get("type") != "WordPiece":
        raise ValueError(f"tokenizer.json holds a {model.get('type')} model; expected WordPiece; keep its vocabulary")
    prefix = model["continuing_subword_prefix"]
    always = {added["id"] for added in document["added_tokens"]} | {model["vocab"][model["unk_token"]]}
    kept = [
        (token, old)
        for token, old in sorted(model["vocab"].items(), key=lambda item: item[1])
        if old in always or old in used or len(token.removeprefix(prefix)) == 1
    ]
    new_ids = {old: new for new, (_, old) in enumerate(kept)}
    model["vocab"] = {token: new_ids[old] for token, old in kept}
    for added in document["added_tokens"]:
        added["id"] = new_ids[added["id"]]
    if document.get("padding"):
        document["padding"]["pad_id"] = new_ids[document["padding"]["pad_id"]]
    _renumber(document.get("post_processor"), new_ids, depth=0)
    return orjson.dumps(document).decode(), np.array([old for _, old in kept], dtype=np.int64)


def _renumber(processor: dict[str, Any] | None, new_ids: dict[int, int], *, depth: int) -> None:
    """Put the new ids into a post-processor, in place."""
    kind = None if processor is None else processor.get("type")
    if processor is None:
        return
    if kind == "TemplateProcessing":
        for special in processor["special_tokens"].values():
            special["ids"] = [new_ids[old] for old in special["ids"]]
    elif kind == "BertProcessing":
        for name in ("sep", "cls"):
            token, old = processor[name]
            processor[name] = [token, new_ids[old]]
    elif kind == "Sequence" and depth < _MAX_PROCESSORS_DEPTH:
        for inner in processor["processors"]:
            _renumber(inner, new_ids, depth=depth + 1)
    else:
        raise ValueError(
            f"post-processor is {kind}; expected TemplateProcessing or BertProcessing; keep its vocabulary"
        )
