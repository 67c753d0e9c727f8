"""From the body of /v1/moderations to what is judged."""

from http import HTTPStatus
from typing import Any, NamedTuple

from console.errors import Problem
from console.moderations.documents import MAX_INPUTS
from console.port.body import parse_object
from schemas import Role, Turn, is_visible, kept_turns

_EXPECTED = "expected a string, a list of strings, or a list of parts of type text or image_url"


class Input(NamedTuple):
    """What one result answers."""

    turns: list[Turn]
    """Empty where there are images alone."""
    n_images: int = 0


def read_inputs(raw: bytes) -> list[Input]:
    """Return the inputs of a request, one for each result.

    Raises:
        Problem: 400 or 413.
    """
    document = parse_object(raw)
    if not isinstance(document.get("model"), str | None):
        raise _bad("model is no string; leave it out", "model")
    if "input" not in document:
        raise _bad(f"input is missing; {_EXPECTED}", "input")
    value = document["input"]
    if isinstance(value, str):
        return [_of_texts([value], "input")]
    if not isinstance(value, list) or not value:
        raise _bad(f"input is {'an empty list' if value == [] else type(value).__name__}; {_EXPECTED}", "input")
    if len(value) > MAX_INPUTS:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "too_many_inputs",
            f"input has {len(value)} entries; expected at most {MAX_INPUTS}; send the rest in another request",
            param="input",
        )
    if all(isinstance(one, str) for one in value):
        return [_of_texts([text], f"input[{i}]") for i, text in enumerate(value)]
    if all(isinstance(one, dict) for one in value):
        return [_of_parts(value)]
    raise _bad(f"input mixes strings and parts, or holds something else; {_EXPECTED}", "input")


def _of_parts(parts: list[dict[str, Any]]) -> Input:
    texts: list[str] = []
    n_images = 0
    for i, part in enumerate(parts):
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("type") == "image_url" and _is_image(part.get("image_url")):
            n_images += 1
        else:
            raise _bad(f"this part is neither a text nor an image_url with a url; {_EXPECTED}", f"input[{i}]")
    if n_images and not any(map(is_visible, texts)):
        return Input([], n_images)
    return _of_texts(texts, "input")._replace(n_images=n_images)


def _is_image(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("url"), str)


def _of_texts(texts: list[str], param: str) -> Input:
    # Lines of their own, as the codec joins the parts of a message on the wire.
    text = "\n".join(texts)
    if not is_visible(text):
        raise _bad("there is no visible text; expected some", param)
    return Input(kept_turns([Turn(Role.USER, text)]))


def _bad(message: str, param: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "invalid_input", message, param=param)
