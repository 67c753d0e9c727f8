"""`python -m schemas register` against a registry over HTTP: what it writes, and when it writes nothing."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from schemas.__main__ import app
from schemas.contracts import CONTRACTS, rendered_schemas
from schemas.registry.client import Registry, RegistryError, credentials
from schemas.registry.registration import subject_of
from tests.schemas.registry.server import RegistryServer, StartRegistry, serving

LOGIN = {"SCHEMA_REGISTRY_USERNAME": "writer", "SCHEMA_REGISTRY_PASSWORD": "secret-7f3a"}
NOBODY = {"SCHEMA_REGISTRY_USERNAME": "", "SCHEMA_REGISTRY_PASSWORD": "", "SCHEMA_REGISTRY_TOKEN": ""}


@pytest.fixture
def start() -> Iterator[StartRegistry]:
    """Return a function that serves a registry until the test ends."""
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(serving(RegistryServer(*arguments, **options)))


def register(url: str, *arguments: str, **environment: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["register", "--url", url, *arguments], env={**NOBODY, **environment})


def lines(result: Result) -> list[dict[str, Any]]:
    """Return what `--json` printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_all_contracts_are_registered_once(start: StartRegistry) -> None:
    """Again and again from a pipeline: the second run writes nothing and prints the same ids."""
    registry = start()
    first = register(registry.url, "--json")
    assert first.exit_code == 0, first.stderr
    assert [line["state"] for line in lines(first)] == ["new"] * len(CONTRACTS)
    texts = [text for held in registry.subjects.values() for text in held]
    assert sorted(texts) == sorted(rendered_schemas().values())
    written = registry.writes
    again = register(registry.url, "--json")
    assert registry.writes == written
    assert [{**line, "state": "registered"} for line in lines(first)] == lines(again)


def test_subjects_are_those_that_serialisers_look_for(start: StartRegistry) -> None:
    """TopicNameStrategy; two contracts never share one, or each would be the other's next version."""
    registry = start()
    assert register(registry.url, "--subject", "verdict=ads.verdicts-value").exit_code == 0
    assert {"chat-events-value", "ads.verdicts-value", "verdictstream.verdict.v1"} <= registry.subjects.keys()
    assert len(registry.subjects) == len(CONTRACTS) == len({subject_of(contract) for contract in CONTRACTS})


def test_a_dry_run_only_reads(start: StartRegistry) -> None:
    """What a change of the contracts would do is asked for before it is done."""
    registry = start()
    result = register(registry.url, "--dry-run", "--set-compatibility", "--json")
    assert (result.exit_code, registry.writes, registry.subjects) == (0, [], {})
    assert {(line["state"], line["guid"]) for line in lines(result)} == {("new", None)}


def test_one_incompatible_contract_keeps_all_from_being_written(start: StartRegistry) -> None:
    """Half of a release would leave readers with schemas of two versions."""
    registry = start()
    narrower = json.loads(rendered_schemas()["verdict.v2.schema.json"])
    narrower["properties"]["decision"] = {"type": "integer"}
    registry.subjects["verdicts-value"] = [json.dumps(narrower)]
    registry.ids[json.dumps(narrower)] = 1
    for dry in ([], ["--dry-run"]):
        result = register(registry.url, *dry)
        assert (result.exit_code, registry.writes) == (1, [])
        assert "verdicts-value: " in result.stderr
        assert "decision" in result.stderr


def test_levels_follow_who_reads(start: StartRegistry) -> None:
    """Readers of verdicts go on with an older schema; old events stay readable for the worker. Set once."""
    registry = start()
    assert register(registry.url, "--set-compatibility").exit_code == 0
    assert registry.levels["verdicts-value"] == "FORWARD"
    assert registry.levels["chat-events-value"] == "BACKWARD"
    written = registry.writes
    assert register(registry.url, "--set-compatibility").exit_code == 0
    assert registry.writes == written


def test_a_field_that_is_added_to_verdicts_is_their_next_version(start: StartRegistry) -> None:
    """The usual change of a contract that we write."""
    registry = start()
    older = json.loads(rendered_schemas()["verdict.v2.schema.json"])
    older["required"].remove("stage")
    del older["properties"]["stage"]
    registry.subjects["verdicts-value"] = [json.dumps(older)]
    registry.ids[json.dumps(older)] = 1
    registry.levels["verdicts-value"] = "FORWARD"
    found = {line["subject"]: line for line in lines(register(registry.url, "--json"))}
    assert (found["verdicts-value"]["state"], found["verdicts-value"]["version"]) == ("new", 2)


def test_a_login_is_needed_where_the_registry_asks_for_one(start: StartRegistry) -> None:
    """From the environment alone: an argument would stand in every list of processes."""
    registry = start("writer:secret-7f3a")
    assert register(registry.url, **LOGIN).exit_code == 0
    refused = register(registry.url)
    assert refused.exit_code == 1
    assert "401 Unauthorized; expected a login" in refused.stderr
    wrong = register(registry.url, **{**LOGIN, "SCHEMA_REGISTRY_PASSWORD": "other-secret"})
    assert (wrong.exit_code, "other-secret" in wrong.stderr) == (1, False)


def test_a_login_never_goes_to_another_host(start: StartRegistry) -> None:
    """A redirect is an error; whoever is redirected to would read the password."""
    registry, other = start("writer:secret-7f3a"), start()
    registry.redirect_to = other.url
    result = register(registry.url, **LOGIN)
    assert (result.exit_code, other.requests) == (1, [])
    assert "307" in result.stderr


def test_a_registry_without_guids_is_one_all_the_same(start: StartRegistry) -> None:
    """Confluent's before 8.0; only the header form needs a GUID."""
    registry = start(has_guids=False)
    assert {line["guid"] for line in lines(register(registry.url, "--json"))} == {None}


def test_an_address_that_is_no_registry_is_told(start: StartRegistry) -> None:
    """A proxy's page, a wrong path and nobody at all."""
    registry = start()
    for url, said in [
        (f"{registry.url}/elsewhere", "404"),
        ("http://127.0.0.1:9", "no answer that can be read"),
        ("ftp://registry", "expected http://HOST:PORT"),
        ("http://writer:secret-7f3a@registry:8081", "holds a login"),
    ]:
        result = register(url)
        assert (result.exit_code, said in result.stderr, "secret-7f3a" in result.stderr) == (1, True, False)
    assert register(registry.url, "--subject", "verdicts=x").exit_code == 2


@pytest.mark.parametrize(
    ("environment", "headers"),
    [
        ({}, {}),
        ({"SCHEMA_REGISTRY_TOKEN": "t"}, {"authorization": "Bearer t"}),
        ({"SCHEMA_REGISTRY_USERNAME": "ü", "SCHEMA_REGISTRY_PASSWORD": "p"}, {"authorization": "Basic w7w6cA=="}),
    ],
)
def test_a_login_is_a_pair_or_a_token(environment: dict[str, str], headers: dict[str, str]) -> None:
    """As registries take it."""
    assert credentials(environment) == headers


@pytest.mark.parametrize(
    "environment",
    [
        {"SCHEMA_REGISTRY_USERNAME": "u"},
        {"SCHEMA_REGISTRY_PASSWORD": "p"},
        {"SCHEMA_REGISTRY_USERNAME": "u", "SCHEMA_REGISTRY_PASSWORD": "p", "SCHEMA_REGISTRY_TOKEN": "t"},
    ],
)
def test_half_a_login_and_two_are_refused(environment: dict[str, str]) -> None:
    """One of them would silently not be used."""
    with pytest.raises(RegistryError, match="incomplete or double login"):
        credentials(environment)


def test_a_subject_is_one_part_of_a_path(start: StartRegistry) -> None:
    """Names of subjects may hold anything."""
    registry = start()
    found = Registry(registry.url).register("a/b c?d=e", rendered_schemas()["policy.v1.schema.json"])
    assert (found.version, list(registry.subjects)) == (1, ["a/b c?d=e"])
