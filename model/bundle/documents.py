"""Read the JSON documents of bundles and registries: strictly, and with errors that quote no content.

A key that stands twice is refused: readers disagree on which of the two counts, so that a signed or reviewed document
would mean one thing to whoever looked at it and another to the worker.
"""

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

Document = TypeVar("Document", bound=BaseModel)

_MOST_PROBLEMS: Final = 5


def parse_document(kind: type[Document], raw: bytes) -> Document:
    """Return a document.

    Args:
        kind: What it must be.
        raw: JSON.

    Raises:
        ValueError: it is not that. The text names fields and rules, at most five, and quotes no value.
    """
    refuse_duplicates(raw)
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise ValueError(problems_of(error)) from None


def refuse_duplicates(raw: bytes) -> None:
    """Raise ValueError where an object of a JSON document has a key twice, or the document is no JSON."""
    try:
        json.loads(raw, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        # Its text says where and what was expected, and nothing of what stands there.
        raise ValueError(f"no JSON: {error}") from None
    except UnicodeDecodeError:
        raise ValueError("no JSON: no UTF-8 text") from None
    except RecursionError:
        raise ValueError("no JSON of ours: nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"the key {twice[:64]!r} stands twice; expected each key once")


def problems_of(error: ValidationError) -> str:
    """Return what is wrong with a document, by field, without the values that were found."""
    problems = error.errors(include_url=False, include_input=False)
    shown = [
        ": ".join(part for part in (".".join(str(part) for part in problem["loc"]), problem["msg"]) if part)
        for problem in problems[:_MOST_PROBLEMS]
    ]
    more = len(problems) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
