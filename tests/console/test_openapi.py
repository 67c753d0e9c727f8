"""The committed description is what the routes make, and every answer fits it."""

from typing import Any

import jsonschema
import orjson
import pytest

from console.app import make_api
from console.openapi import PATH, description_of, encoded
from console.service import Service
from tests.bad_inputs import chat
from tests.console.server import RunningConsole


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """Return the committed description."""
    document: dict[str, Any] = orjson.loads(PATH.read_bytes())
    return document


def test_the_description_has_not_drifted(service: Service) -> None:
    """`make contracts` writes it anew."""
    assert PATH.read_bytes() == encoded(description_of(make_api(service)))


def test_the_server_serves_it(console: RunningConsole, description: dict[str, Any]) -> None:
    """The same for every bundle."""
    assert console.ask("GET", "/openapi.json").json == description


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    """Generators of clients stop at the first that does not."""
    text = orjson.dumps(description).decode()
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= description["components"]["schemas"].keys()
    assert "$defs" not in text


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/v1/classify", {"text": "hello"}),
        ("/v1/classify", chat()),
        ("/v1/classify", {"conversations": ["hello", chat(messages=[]), chat()]}),
        ("/v1/classify", {}),
        ("/v1/moderations", {"input": ["hello", "hi"]}),
        ("/v1/moderations", {"input": []}),
        ("/v1alpha1/comments:analyze", {"comment": {"text": "hello"}, "requestedAttributes": {"TOXICITY": {}}}),
    ],
)
def test_answers_fit_the_description(
    console: RunningConsole, description: dict[str, Any], path: str, document: dict[str, Any]
) -> None:
    """Whatever their status."""
    answer = console.post(path, document)
    described = description["paths"][path]["post"]["responses"][str(answer.status)]
    schema = described["content"]["application/json"]["schema"] | {"components": description["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json)
