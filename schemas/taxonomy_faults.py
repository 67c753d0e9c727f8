"""All that is wrong with a taxonomy, in one go: a file of 40 categories is not repaired one error at a time."""

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

_CODE: Final = "a letter or digit, then letters, digits, `_`, `.` or `-`, at most 64 in all"
_OF_THE_WHOLE: Final = {
    "name": f"expected {_CODE}",
    "version": 'expected dotted numbers, as in version = "1.2"',
}
_OF_A_CATEGORY: Final = {
    "code": f"expected {_CODE}",
    "name": "expected a text for people, of 1 to 128 characters",
    "banned": "expected true or false",
    "iab_content": 'expected up to eight ids of the IAB Content Taxonomy 3, each once, as in ["596", "602"]',
}
_LONGEST_QUOTE: Final = 80


def faults_of(
    document: Mapping[str, object], whole: type[BaseModel], category: type[BaseModel], limits: tuple[int, int]
) -> list[str]:
    """Return one sentence for each fault of a taxonomy, in the order of the file.

    Args:
        document: What the file says.
        whole: The model of a taxonomy; its field `categories` is not looked at.
        category: The model of one category.
        limits: Fewest and most categories.
    """
    head = {name: value for name, value in document.items() if name != "categories"}
    return [
        *_field_faults(head, whole, "", _OF_THE_WHOLE),
        *_category_faults(document.get("categories"), category, limits),
    ]


def _category_faults(categories: object, model: type[BaseModel], limits: tuple[int, int]) -> Iterator[str]:
    if not isinstance(categories, list):
        found = "nothing" if categories is None else _quoted(categories)
        yield f"categories: found {found}; expected [[categories]] tables, each with a code and a name"
        return
    fewest, most = limits
    if not fewest <= len(categories) <= most:
        noun = "category" if len(categories) == 1 else "categories"
        yield f"categories: found {len(categories)} {noun}; expected {fewest} to {most}"
    for number, category in enumerate(categories, start=1):
        if isinstance(category, dict):
            yield from _field_faults(category, model, f"{_place(number, category)}: ", _OF_A_CATEGORY)
        else:
            yield f"category {number}: found {_quoted(category)}; expected a table with a code and a name"
    yield from _repeated_codes(categories)
    if categories and all(isinstance(one, dict) and one.get("banned") is True for one in categories):
        yield "categories: every one is banned, so that no ad could ever be shown; leave at least one out"


def _place(number: int, category: Mapping[str, object]) -> str:
    code = category.get("code")
    return f"category {number}" + (f" ({_quoted(code)})" if isinstance(code, str) else "")


def _field_faults(
    fields: Mapping[str, Any], model: type[BaseModel], place: str, expected: Mapping[str, str]
) -> Iterator[str]:
    try:
        model.model_validate(fields)
    except ValidationError as error:
        for fault in error.errors(include_url=False):
            name = ".".join(map(str, fault["loc"]))
            if name == "categories":
                continue
            if fault["type"] == "missing":
                yield f"{place}{name} is missing; {expected[name]}"
            elif fault["type"] == "extra_forbidden":
                yield place + _unknown(name, list(model.model_fields))
            else:
                wanted = expected.get(str(fault["loc"][0]), fault["msg"])
                yield f"{place}{name} is {_quoted(fault['input'])}; {wanted}"


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]}?" if near else "remove it"
    return f"unknown field {_quoted(name)}; expected {', '.join(known)}; {meant}"


def _repeated_codes(categories: list[Any]) -> Iterator[str]:
    """Yield a sentence for each set of categories whose codes differ in nothing but case, if at all."""
    places: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, category in enumerate(categories, start=1):
        code = category.get("code") if isinstance(category, dict) else None
        if isinstance(code, str):
            places[code.casefold()].append((number, code))
    for same in places.values():
        if len(same) == 1:
            continue
        numbers = ", ".join(str(number) for number, _ in same)
        codes = list(dict.fromkeys(code for _, code in same))
        if len(codes) == 1:
            yield f"categories {numbers}: all have the code {_quoted(codes[0])}; expected each code once"
        else:
            listed = ", ".join(map(_quoted, codes))
            yield f"categories {numbers}: codes {listed} differ in nothing but case; rename all but one"


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}… ({len(text)} characters)"
