"""What generators of types make of the schemas: 64-bit numbers, nullable texts, names of classes, times.

A generator for Java or Go reads `integer` as 32 bits and an `anyOf` as an untyped object, unless the schema says more.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import CategoryLabel, Decision, Standing, VerdictChange, decode_verdict, encode_verdict
from schemas.asyncapi import asyncapi_document
from schemas.codec import encode_verdict_change
from schemas.contracts import CONTRACTS, Contract
from schemas.verdict import INT64_MAX
from tests.schemas.payloads import make_verdict

SIX_DECIMALS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
LONG_NAMES = ("offset", "timestamp_ms", "override_revision")
DOCUMENTS = {f"{one.name} {one.major}": one.json_schema() for one in CONTRACTS} | {"asyncapi": asyncapi_document()}


def _properties(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property with a schema of its own, at any depth."""
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            yield from node["properties"].items()
        for value in node.values():
            yield from _properties(value)
    elif isinstance(node, list):
        for value in node:
            yield from _properties(value)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_number_of_64_bits_says_so_in_both_ways_that_generators_read(name: str) -> None:
    """jsonschema2pojo looks at the maximum, Modelina at the format; both made an `int`, which holds no clock in ms."""
    for field, schema in _properties(DOCUMENTS[name]):
        if field in LONG_NAMES and schema.get("type") == "integer":
            assert (schema["maximum"], schema["format"]) == (INT64_MAX, "int64")


def test_the_verdict_has_such_numbers() -> None:
    """The test above would pass where the fields had other names."""
    found = {field for field, schema in _properties(DOCUMENTS["verdict 2"]) if schema.get("format") == "int64"}
    assert found == set(LONG_NAMES)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_field_that_may_be_null_has_one_type_beside_it(name: str) -> None:
    """`replay_id` is a text or null; only fields that may really hold two types, as `event_id`, are an `anyOf`."""
    for field, schema in _properties(DOCUMENTS[name]):
        forms = [form.get("type") for form in schema.get("anyOf", ())]
        assert len([form for form in forms if form != "null"]) != 1, field


def test_replay_id_is_a_text_or_null() -> None:
    """As the issue says it."""
    assert DOCUMENTS["verdict 2"]["properties"]["replay_id"]["type"] == ["string", "null"]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.file_name)
def test_a_title_is_the_name_of_a_class(contract: Contract) -> None:
    """Generators may name their classes after it; the file's name would give `VerdictV1Schema`."""
    schema = contract.json_schema()
    assert schema["title"] == contract.model.__name__
    assert all(part["title"] == name for name, part in schema["$defs"].items()) if "$defs" in schema else True
    assert not any("title" in field for _, field in _properties(schema))


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
def test_a_time_always_has_six_decimals(microsecond: int) -> None:
    """A reader with a fixed pattern would fail once in a million verdicts."""
    decided_at = datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC)
    verdict = make_verdict(decided_at=decided_at)
    encoded = encode_verdict(verdict)
    assert SIX_DECIMALS.fullmatch(json.loads(encoded)["decided_at"])
    assert SIX_DECIMALS.fullmatch(verdict.model_dump(mode="json")["decided_at"])
    standing = Standing(category=CategoryLabel(code=verdict.category.code, name="x"), decision=Decision.ALLOW)
    shared = ("chat_id", "taxonomy", "source", "verdict_id", "banned_to_safe_risk", "policy", "model", "decided_at")
    change = VerdictChange(
        **{name: getattr(verdict, name) for name in shared}, replay_id="r", old=standing, new=standing
    )
    assert SIX_DECIMALS.fullmatch(json.loads(encode_verdict_change(change))["decided_at"])


def test_a_time_without_decimals_is_read_and_written_again_with_six() -> None:
    """Verdicts that an earlier build wrote lie in Redis and on the topic."""
    encoded = encode_verdict(make_verdict(decided_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    old = encoded.replace(b"05.000000Z", b"05Z")
    assert old != encoded
    assert encode_verdict(decode_verdict(old)) == encoded


def test_every_offset_that_kafka_can_give_is_read_back() -> None:
    """The bound is the largest 64-bit number, not the largest that JavaScript holds."""
    source = {"topic": "t", "partition": 0, "offset": INT64_MAX, "timestamp_ms": INT64_MAX}
    verdict = make_verdict(source=source)
    assert decode_verdict(encode_verdict(verdict)) == verdict
