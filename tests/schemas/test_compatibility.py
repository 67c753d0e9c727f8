"""Every class of breaking change is found, and harmless changes pass."""

from copy import deepcopy

import pytest

from schemas.compatibility import Direction, JsonSchema, breaking_changes
from schemas.contracts import CONTRACTS, Contract
from tests.schemas.schema_changes import BREAKING, HARMLESS, IN, field_schema, object_schema


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_found_and_named(name: str) -> None:
    """The message starts with the path, so that the change is found at once."""
    direction, released, current, expected = BREAKING[name]
    changes = breaking_changes(released, current, direction)
    assert any(expected in change for change in changes), changes
    assert all(change.startswith("$") for change in changes)


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_passes(name: str) -> None:
    """A check that cries wolf is switched off."""
    direction, released, current = HARMLESS[name]
    assert breaking_changes(released, current, direction) == ()


def test_a_change_behind_a_reference_is_found() -> None:
    """Enums and nested models stand in `$defs`."""
    released: JsonSchema = {
        "$defs": {"Role": {"type": "string", "enum": ["user", "system"]}},
        **field_schema(**{"$ref": "#/$defs/Role"}),
    }
    current = deepcopy(released)
    current["$defs"]["Role"]["enum"].remove("system")
    assert breaking_changes(released, current, IN) == ("$.f: value 'system' was accepted and is refused now",)
    assert breaking_changes(current, released, IN) == ()


def test_a_renamed_definition_is_harmless() -> None:
    """Names in `$defs` are no part of the contract."""
    released = {"$defs": {"A": {"type": "string"}}, **field_schema(**{"$ref": "#/$defs/A"})}
    current = {"$defs": {"B": {"type": "string"}}, **field_schema(**{"$ref": "#/$defs/B"})}
    assert breaking_changes(released, current, IN) == ()


@pytest.mark.parametrize("direction", Direction)
def test_a_recursive_definition_is_compared_and_ends(direction: Direction) -> None:
    """Directly, and through a list and an alternative."""
    node = object_schema(next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]})
    node["properties"]["all"] = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
    released: JsonSchema = {"$defs": {"Node": node}, "$ref": "#/$defs/Node"}
    assert breaking_changes(released, deepcopy(released), direction) == ()
    current = deepcopy(released)
    current["$defs"]["Node"]["properties"]["a"] = {"type": "integer"}
    assert breaking_changes(released, current, direction)


def test_an_unknown_keyword_with_a_reference_is_not_trusted() -> None:
    """The keyword is the same, but what it refers to is not."""
    released = {"$defs": {"A": {"type": "string"}}, **field_schema(**{"not": {"$ref": "#/$defs/A"}})}
    current = {**released, "$defs": {"A": {"type": "integer"}}}
    assert breaking_changes(released, released, IN) == ()
    assert "not changed" in breaking_changes(released, current, IN)[0]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.file_name)
def test_a_contract_is_compatible_with_itself(contract: Contract) -> None:
    """The generated schemas use no keyword that the check cannot judge."""
    schema = contract.json_schema()
    for direction in Direction:
        assert breaking_changes(schema, deepcopy(schema), direction) == ()


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.file_name)
def test_the_loss_of_any_property_of_a_contract_is_found(contract: Contract) -> None:
    """Mutation of the real schemas: no property is out of sight of the check."""
    released = contract.json_schema()
    for name in released["properties"]:
        current = deepcopy(released)
        del current["properties"][name]
        current["required"] = [field for field in current["required"] if field != name]
        changes = breaking_changes(released, current, contract.direction)
        assert f"$.{name}: the property was removed" in changes
