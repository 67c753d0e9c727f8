"""The description of the API, made from its routes and documents; console/openapi.json is its committed form.

Bodies are read by the routes themselves, as strictly as records, so that FastAPI is told of their documents here.
"""

from pathlib import Path
from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from console.openapi_problems import GoogleProblem, ProblemDocument

PATH: Final = Path(__file__).parent / "openapi.json"
_REF: Final = "#/components/schemas/{model}"
_DEFINITIONS: Final = "x-definitions"

_STATUSES: Final = {
    400: "The request is not what was expected.",
    401: "No API key, or one that is not known.",
    403: "Host or Origin is not allowed.",
    408: "The body did not arrive in time.",
    413: "Too large.",
    415: "Not JSON.",
    429: "Too much at once; `retry-after` says when to ask again.",
    503: "The process is ending.",
    504: "No answer within the deadline.",
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": ProblemDocument, "description": text} for status, text in _STATUSES.items()
}
FOLLOWING: Final = PROBLEMS | {
    status: {"model": ProblemDocument, "description": text}
    for status, text in {
        403: "Host or Origin is not allowed, or the key's role is too low.",
        404: "There is no such thing.",
        409: "It contradicts what stands.",
        501: "This process follows no pipeline, or lacks a setting; the message says which.",
        503: "Kafka, Redis or the database does not answer; `retry-after` says when to ask again.",
    }.items()
}
"""Of routes that need the pipeline."""
GOOGLE_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": GoogleProblem, "description": text}
    for status, text in _STATUSES.items()
    if status != 401  # noqa: PLR2004
}


def body_of(document: Any) -> dict[str, Any]:
    """Return what a route's description says of its body.

    Args:
        document: A pydantic model, or a union of them.
    """
    schema = TypeAdapter(document).json_schema(ref_template=_REF)
    definitions = schema.pop("$defs", {})
    if "title" in schema and "properties" in schema:
        definitions[schema["title"]] = schema
        schema = {"$ref": _REF.format(model=schema["title"])}
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        _DEFINITIONS: definitions,
    }


def description_of(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for path in document["paths"].values():
        for operation in path.values():
            schemas.update(operation.pop(_DEFINITIONS, {}))
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "x-goog-api-key"},
        "query": {"type": "apiKey", "in": "query", "name": "key", "description": "Under /v1alpha1 only."},
    }
    # On loopback without a file of keys none is needed.
    document["security"] = [{"bearer": []}, {"header": []}, {}]
    return document


def encoded(document: dict[str, Any]) -> bytes:
    """Return the committed form."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
