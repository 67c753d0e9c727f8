"""From the body or the query of a request to a document: what does not fit is told by field, and not quoted."""

from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from console.errors import Problem
from console.port.body import parse_object

_Document = TypeVar("_Document", bound=BaseModel)

_MOST_PROBLEMS: Final = 3


class Request(BaseModel):
    """A document that a caller sends; unknown fields are refused, since a typo must not pass unseen."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _fits_the_database(cls, value: Any) -> Any:
        if isinstance(value, str) and "\0" in value:
            raise ValueError("holds a NUL character, which PostgreSQL does not store; expected text without it")
        return value


def read_document(raw: bytes, model: type[_Document]) -> _Document:
    """Return the document in a body.

    Raises:
        Problem: 400 or 413; `param` names the first field at fault.
    """
    return check_document(parse_object(raw), model)


def check_document(values: dict[str, Any], model: type[_Document]) -> _Document:
    """Return the document that values are; raises Problem (400)."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        known = set(model.model_fields)
        told = [f"{_place(fault['loc'], known)}: {fault['msg'].removeprefix('Value error, ')}" for fault in faults]
        param = _place(faults[0]["loc"], known)
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "invalid_input",
            f"{'; '.join(told[:_MOST_PROBLEMS])}; /openapi.json describes the fields",
            param=param if param in known else None,
        ) from None


def _place(loc: tuple[int | str, ...], known: set[str]) -> str:
    """Return a field's name; of one that is not known nothing is quoted."""
    if not loc:
        return "the body"
    return str(loc[0]) if loc[0] in known else "a field that is not known"
