"""A transformers sequence classifier, from the hub's cache or a local folder, on the same chats as a bundle.

Its text is the project's own `render`; its tokenizer, labels and weights are its own. Weights are safetensors only, no
code of the repository runs, and nothing is downloaded unless that was asked for.

Invariant: a model whose labels are not the taxonomy's categories, each once, is refused; none is guessed.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from model.batching import plan_batches
from model.calibration import softmax
from model.windowing import Windowing, render
from schemas import Taxonomy, Turn
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.evaluate import OnProgress, Predictions
from training_pipeline.report.candidate import Conversations, local_usage
from training_pipeline.report.document import Identity, Speed, Usage
from training_pipeline.report.speed import time_answers

DEFAULT_MAX_TOKENS: Final = 512

_MAX_PADDED_TOKENS: Final = 8_192
_MAX_ROWS: Final = 64
_CHUNK_CHATS: Final = 256


def columns_of_labels(labels: Mapping[int, str], taxonomy: Taxonomy, where: str) -> list[int]:
    """Return the output column of each category, in the taxonomy's order.

    A label names a category by its code, its name or both, in any case and with any separators: `M`,
    `other_obscene_or_illegal`, `M. Other Obscene or Illegal`.

    Args:
        labels: The model's `id2label`.
        taxonomy: The categories.
        where: What to call the model in an error.

    Raises:
        ValueError: the labels are not the categories, each once.
    """
    known = {_folded(text): code for code, name in taxonomy.names.items() for text in (code, name, f"{code} {name}")}
    found = {column: known.get(_folded(label)) for column, label in labels.items()}
    if sorted(map(str, found.values())) != sorted(taxonomy.codes):
        listed = ", ".join(f"{column}: {label}" for column, label in sorted(labels.items()))
        raise ValueError(
            f"{where}: its labels are {listed}; expected the categories of taxonomy {taxonomy.ref}, each once, by "
            f"code or by name ({', '.join(f'{code} {name}' for code, name in taxonomy.names.items())}); where they are "
            "unnamed, give the codes in the order of its outputs with --hub-labels"
        )
    column_of = {code: column for column, code in found.items()}
    return [column_of[code] for code in taxonomy.codes]


def _folded(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(label).casefold()).strip("_")


def parse_label_order(text: str, taxonomy: Taxonomy) -> dict[int, str]:
    """Read the codes in the order of a model's outputs, such as `toxic,not_toxic`; letters need no commas.

    Raises:
        ValueError: they are not the taxonomy's codes, each once.
    """
    found = text.split(",") if "," in text else list(text)
    if sorted(found) != sorted(taxonomy.codes):
        raise ValueError(
            f"--hub-labels: found {text!r}; expected each of {','.join(taxonomy.codes)} once, in output order"
        )
    return dict(enumerate(found))


class HubModel:
    """A loaded sequence classifier.

    Args:
        source: Name on the hub, or a local folder.
        max_tokens: Longest row; cut to what the model can take.
        allow_download: Fetch what is not in the hub's cache.
        label_order: Codes by output column, in place of the model's own labels.
        taxonomy: The categories.
        n_threads: Threads of torch.

    Raises:
        ValueError: it is not there, does not load, or its labels are not the categories.
    """

    is_attackable = True

    def __init__(
        self,
        source: str,
        *,
        taxonomy: Taxonomy,
        n_threads: int,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        allow_download: bool = False,
        label_order: Mapping[int, str] | None = None,
    ) -> None:
        torch.set_num_threads(n_threads)
        self._n_threads = n_threads
        self._model, self._tokenizer = _load(source, allow_download=allow_download)
        self._columns = columns_of_labels(label_order or self._model.config.id2label, taxonomy, f"--hub-model {source}")
        self._taxonomy = taxonomy
        self._check_width(source)
        longest = getattr(self._model.config, "max_position_embeddings", None) or max_tokens
        self._max_tokens = min(max_tokens, longest, self._tokenizer.model_max_length)
        self._windowing = Windowing()
        n_parameters = sum(parameter.numel() for parameter in self._model.parameters())
        self.identity = Identity(
            name=Path(source).name if Path(source).is_dir() else source,
            kind="hub",
            version=getattr(self._model.config, "_commit_hash", None),
            detail=f"{type(self._model).__name__}, {n_parameters / 1e6:.1f} M parameters, float32, up to "
            f"{self._max_tokens} tokens, torch",
        )

    def _check_width(self, source: str) -> None:
        if (n_outputs := self._model.config.num_labels) != len(self._columns):
            raise ValueError(f"--hub-model {source}: it has {n_outputs} outputs; expected {len(self._columns)}")

    def predict(self, chats: LabelledChats, on_progress: OnProgress | None = None) -> Predictions:
        """Answer every chat."""
        parts = []
        for start in range(0, len(chats), _CHUNK_CHATS):
            parts.append(self.probabilities(chats.conversations[start : start + _CHUNK_CHATS]))
            if on_progress is not None:
                on_progress(min(start + _CHUNK_CHATS, len(chats)))
        probabilities = np.concatenate(parts)
        predicted = probabilities.argmax(axis=1)
        return Predictions(chats.labels, predicted, probabilities, decisions=None, taxonomy=self._taxonomy)

    def probabilities(self, conversations: Conversations) -> NDArray[np.float32]:
        """Return float32 [n_conversations, n_categories], in the taxonomy's order."""
        rows = self._rows(conversations)
        # A model without a padding token (GPT, Llama) reads one row at a time.
        max_rows = 1 if self._tokenizer.pad_token_id is None else _MAX_ROWS
        logits = np.empty((len(rows), len(self._columns)), dtype=np.float32)
        lengths = [len(row) for row in rows]
        for batch in plan_batches(lengths, max_padded_tokens=_MAX_PADDED_TOKENS, max_rows=max_rows):
            padded = self._tokenizer.pad(
                {"input_ids": [rows[i] for i in batch]}, padding=max_rows > 1, return_tensors="pt"
            )
            with torch.inference_mode():
                output = self._model(input_ids=padded["input_ids"], attention_mask=padded["attention_mask"]).logits
            logits[batch] = output.float().numpy()[:, self._columns]
        return softmax(logits)

    def _rows(self, conversations: Conversations) -> list[list[int]]:
        texts = [render(turns, self._windowing) for turns in conversations]
        # A special token that a user types stays text, as in serving.
        encoded = self._tokenizer(
            texts, truncation=True, max_length=self._max_tokens, split_special_tokens=True, padding=False
        )
        rows: list[list[int]] = encoded["input_ids"]
        return rows

    def speed(self, conversations: Sequence[Sequence[Turn]], n_timed: int) -> Speed | None:
        """Return the model's times: window, tokenizer and model."""
        self.probabilities(conversations[:1])
        return time_answers(
            self.probabilities,
            conversations,
            n_timed=n_timed,
            n_threads=self._n_threads,
            detail="window, tokenizer and model in torch on this CPU",
        )

    def usage(self, chats: LabelledChats) -> Usage | None:
        """Return the tokens that the model reads."""
        return local_usage(sum(map(len, self._rows(chats.conversations))))


def _load(source: str, *, allow_download: bool) -> tuple[Any, Any]:
    options = {"local_files_only": not allow_download, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model = AutoModelForSequenceClassification.from_pretrained(source, use_safetensors=True, **options)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"--hub-model {source}: does not load ({type(error).__name__}: {str(error).splitlines()[0]}); expected a "
            "sequence classifier with safetensors weights and a tokenizer, in a folder or in the hub's cache; "
            "--allow-download fetches one from the hub"
        ) from error
    # The oldest tokens go, as in serving: the latest user turn decides the category.
    tokenizer.truncation_side = "left"
    return model.eval(), tokenizer
