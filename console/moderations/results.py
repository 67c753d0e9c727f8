"""One classification in OpenAI's shape.

Invariant: no number of ours stands under a name of OpenAI's: a client that acts on `sexual/minors` must not act on what
means something else. Ours have a colon in their names, which none of OpenAI's has.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from console.judging.request import Answer
from console.judging.verdicts import VerdictWriter
from console.moderations.documents import OPENAI_NAMES
from model import Classification
from model.decision import SEVERITY
from schemas import Decision

IMAGE: Final = "image"
FAILURE: Final = "failure"


def result_of(answer: Answer | None, *, n_images: int, writer: VerdictWriter) -> dict[str, Any]:
    """Return one result.

    Args:
        answer: What is said of the text; None where there was none.
        n_images: Images that nobody looked at; such a message is not allowed.
        writer: Knows taxonomy and policies.
    """
    classification = answer if isinstance(answer, Classification) else None
    unevaluated = _unevaluated(answer, n_images)
    decision = _decision(classification, writer, is_partial=n_images > 0)
    own_names = _own_names(writer)
    flagged = decision is not Decision.ALLOW
    categories = dict.fromkeys(OPENAI_NAMES, False)
    scores = dict.fromkeys(OPENAI_NAMES, 0.0)
    applied: dict[str, list[str]] = {name: [] for name in OPENAI_NAMES}
    policy_name = f"policy:{writer.policy.name}"
    categories[policy_name] = flagged
    if classification is not None:
        for code, name in own_names.items():
            is_flagged = flagged and code == classification.category and code in writer.banned
            categories[name], scores[name], applied[name] = is_flagged, classification.probabilities[code], ["text"]
        scores[policy_name] = classification.judgement.banned_probability
        applied[policy_name] = ["text"]
    return {
        "flagged": flagged,
        "categories": categories,
        "category_scores": scores,
        "category_applied_input_types": applied,
        "verdictstream": {
            "decision": decision.value,
            "category": classification and classification.category,
            "banned_to_safe_risk": classification and classification.judgement.banned_to_safe_risk,
            "decisions": {} if classification is None else _decisions(writer, classification),
            "unevaluated": unevaluated,
            "flagged_names": [name for name, is_flagged in categories.items() if is_flagged],
        },
    }


def _own_names(writer: VerdictWriter) -> dict[str, str]:
    return {code: f"{writer.taxonomy.name}:{code}" for code in writer.taxonomy.codes}


def _unevaluated(answer: Answer | None, n_images: int) -> list[str]:
    found: Sequence[str] = answer.unevaluated if isinstance(answer, Classification) else ()
    failed = [FAILURE] if answer is not None and not isinstance(answer, Classification) else []
    return [*map(str, found), *failed, *([IMAGE] if n_images else [])]


def _decision(classification: Classification | None, writer: VerdictWriter, *, is_partial: bool) -> Decision:
    """Return the default policy's decision; `review` at best where something was not looked at."""
    if classification is None:
        return Decision.REVIEW
    decision = writer.decision(classification)
    return max(decision, Decision.REVIEW, key=SEVERITY.__getitem__) if is_partial else decision


def _decisions(writer: VerdictWriter, classification: Classification) -> dict[str, Any]:
    return {
        name: said.model_dump(mode="json") for name, said in writer.decisions(classification, datetime.now(UTC)).items()
    }
