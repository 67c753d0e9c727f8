"""What every peer application does with a chat event: decode, classify with the shipped classifier, encode a verdict.

Nothing else: no cache, no dead letter, no metric, so that a framework is charged with its own cost alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from model import Classification, Classifier, RowFailed, load_bundle
from schemas import ChatEvent, CodecLimits, decode_conversation

_LIMITS: Final = CodecLimits()


class Predictor:
    """Chat events in, verdicts out.

    Args:
        bundle: Bundle folder, verified on loading.
        n_threads: Inference threads.
        max_padded_tokens: Token budget of one inference, padding included.
    """

    def __init__(self, bundle: Path, *, n_threads: int, max_padded_tokens: int) -> None:
        loaded = load_bundle(bundle)
        self._classifier = Classifier(
            loaded, loaded.default_policy, n_threads=n_threads, max_padded_tokens=max_padded_tokens
        )
        self._classifier.warm_up()

    def verdict(self, value: bytes) -> bytes:
        """Judge one chat event.

        Raises:
            RecordRejected: the event cannot be read; the load holds none of that kind.
            ValueError: the model failed on it.
        """
        return self.verdicts([value])[0]

    def verdicts(self, values: Sequence[bytes]) -> list[bytes]:
        """Judge chat events together, in order; raises as `verdict` does."""
        decoded = [decode_conversation(value, _LIMITS) for value in values]
        results, _ = self._classifier.classify([turns for _, turns in decoded])
        return [_encoded(event, result) for (event, _), result in zip(decoded, results, strict=True)]


def _encoded(event: ChatEvent, result: Classification | RowFailed) -> bytes:
    if isinstance(result, RowFailed):
        raise ValueError(f"chat {event.chat_id}: the model failed ({result.error}); expected a verdict")  # noqa: TRY004
    judgement = result.judgement
    return orjson.dumps(
        {
            "chat_id": event.chat_id,
            "event_id": event.event_id,
            "category": {"code": result.category},
            "probabilities": result.probabilities,
            "banned_probability": judgement.banned_probability,
            "banned_to_safe_risk": judgement.banned_to_safe_risk,
            "decision": judgement.decision.value,
            "cache_hit": False,
        }
    )
