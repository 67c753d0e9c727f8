"""The generated files: up to date, valid, and checked against what was released."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import schemas.__main__
import schemas.contracts
from schemas import DeadLetter, RejectionReason
from schemas.__main__ import DEFAULT_FOLDER, app, generated_files
from schemas.asyncapi import asyncapi_document
from schemas.contracts import CONTRACTS, RELEASED_FOLDER, UNRELEASED, Contract
from worker.kafka.config import producer_config
from worker.kafka.forwarded_headers import MAX_FORWARDED_BYTES, MAX_NAMES, TRACE_CONTEXT
from worker.settings.kafka import KafkaSettings
from worker.settings.redis import RedisSettings

RUNNER = CliRunner()
VERDICT_FILE = "verdict.v2.schema.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the committed contracts."""
    return Path(shutil.copytree(DEFAULT_FOLDER, tmp_path / "json"))


def _run(command: str, folder: Path) -> tuple[int, str]:
    result = RUNNER.invoke(app, [command, "--out", str(folder)])
    return result.exit_code, result.output


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}), encoding="utf-8")


def test_the_committed_files_are_up_to_date_and_break_nobody() -> None:
    """This is the drift check of CI."""
    result = RUNNER.invoke(app, ["check"])
    assert result.exit_code == 0, result.output


def test_generate_writes_every_contract_into_an_empty_folder(tmp_path: Path) -> None:
    """Twice the same bytes, so that a commit shows only what changed."""
    assert _run("generate", tmp_path / "new")[0] == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()}
    assert written == generated_files() == generated_files()


def test_generate_into_a_place_that_is_no_folder_says_so(tmp_path: Path) -> None:
    """Exit code 1 and a sentence, not a traceback."""
    (tmp_path / "file").write_text("")
    code, output = _run("generate", tmp_path / "file")
    assert code == 1
    assert "expected a folder" in output


def test_a_stale_file_fails_the_check_with_a_diff(folder: Path) -> None:
    """The message shows what differs and names the command that repairs it."""
    path = folder / VERDICT_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"maxLength": 256', '"maxLength": 99'))
    code, output = _run("check", folder)
    assert code == 1
    assert VERDICT_FILE in output
    assert '-      "maxLength": 99' in output
    assert '+      "maxLength": 256' in output
    assert "python -m schemas generate" in output


def test_a_missing_and_a_left_over_file_fail_the_check(folder: Path) -> None:
    """Neither a deleted contract nor one that nothing generates stays unseen."""
    (folder / VERDICT_FILE).rename(folder / "verdict.v0.schema.json")
    code, output = _run("check", folder)
    assert code == 1
    assert "is missing" in output
    assert "verdict.v0.schema.json: is not generated" in output


def test_a_change_that_breaks_a_released_contract_fails_check_and_release(folder: Path) -> None:
    """Readers of the baseline rely on a field that the code no longer writes."""
    baseline = folder / RELEASED_FOLDER / VERDICT_FILE
    properties = json.loads(baseline.read_bytes())["properties"]
    _edit(baseline, properties={**properties, "explanation": {"type": "string"}})
    before = baseline.read_bytes()
    for command in ("check", "release"):
        code, output = _run(command, folder)
        assert code == 1
        assert f"{VERDICT_FILE}: $.explanation: the property was removed" in output
    assert baseline.read_bytes() == before


def test_a_released_contract_that_is_no_longer_generated_fails_the_check(folder: Path) -> None:
    """A new major version does not retire the old one by itself."""
    (folder / RELEASED_FOLDER / VERDICT_FILE).rename(folder / RELEASED_FOLDER / "verdict.v0.schema.json")
    code, output = _run("check", folder)
    assert code == 1
    assert "verdict.v0.schema.json: released, but no longer generated" in output


@pytest.mark.parametrize("content", [None, "{"])
def test_a_lost_or_broken_baseline_fails_the_check(folder: Path, content: str | None) -> None:
    """Without a baseline nothing would ever be breaking."""
    if content is None:
        shutil.rmtree(folder / RELEASED_FOLDER)
    else:
        (folder / RELEASED_FOLDER / VERDICT_FILE).write_text(content)
    assert _run("check", folder)[0] == 1


@pytest.mark.parametrize(
    "contract", [one for one in CONTRACTS if one.file_name not in UNRELEASED], ids=lambda contract: contract.file_name
)
def test_every_contract_is_compared_with_its_released_form(folder: Path, contract: Contract) -> None:
    """A contract outside the check could break its readers unseen, as verdict-change could."""
    baseline = folder / RELEASED_FOLDER / contract.file_name
    properties = json.loads(baseline.read_bytes())["properties"]
    _edit(baseline, properties={**properties, "explanation": {"type": "string"}})
    code, output = _run("check", folder)
    assert code == 1
    assert f"{contract.file_name}: $.explanation: the property was removed" in output
    baseline.unlink()
    code, output = _run("check", folder)
    assert code == 1
    assert f"{contract.file_name}: has no released form" in output
    assert _run("release", folder)[0] == 0
    assert _run("check", folder)[0] == 0


def test_a_contract_that_nobody_relies_on_yet_needs_no_released_form_and_gets_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change at will until it is taken off the list."""
    (folder / RELEASED_FOLDER / VERDICT_FILE).unlink()
    for module in (schemas.__main__, schemas.contracts):
        monkeypatch.setattr(module, "UNRELEASED", UNRELEASED | {VERDICT_FILE})
    for command in ("check", "release", "check"):
        assert _run(command, folder)[0] == 0
    assert not (folder / RELEASED_FOLDER / VERDICT_FILE).exists()


def test_release_moves_the_baseline_to_a_compatible_change(folder: Path) -> None:
    """The one command that writes the baseline."""
    baseline = folder / RELEASED_FOLDER / VERDICT_FILE
    _edit(baseline, description="an older text")
    assert _run("check", folder)[0] == 0
    assert _run("release", folder)[0] == 0
    assert baseline.read_bytes() == (folder / VERDICT_FILE).read_bytes()


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.file_name)
def test_a_contract_is_a_valid_json_schema_with_an_id_of_its_own(contract: Any) -> None:
    """The id is a name, not an address: nothing is fetched."""
    schema = contract.json_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"urn:verdictstream:{contract.name}:{contract.major}"


def test_the_schema_of_the_headers_describes_text_only() -> None:
    """A header is bytes on the wire; the schema must not promise numbers or null."""
    contract = next(contract for contract in CONTRACTS if contract.model is DeadLetter)
    schema = contract.json_schema()
    names = [name for name in schema["properties"] if name != "reason"]
    assert all(schema["properties"][name]["type"] == "string" for name in names)
    assert schema["$defs"]["RejectionReason"]["enum"] == [reason.value for reason in RejectionReason]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _look_up(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def test_every_reference_of_the_asyncapi_document_resolves_within_it() -> None:
    """It is handed to other teams as one file."""
    document = json.loads((DEFAULT_FOLDER / "asyncapi.json").read_bytes())
    references = set(_references(document))
    assert len(references) > 10
    for reference in references:
        assert reference.startswith("#/")
        assert _look_up(document, reference)


def test_the_asyncapi_document_describes_the_topics_and_their_operations() -> None:
    """Topic, direction, key and payload as in the design."""
    document = asyncapi_document()
    assert document["asyncapi"] == "3.0.0"
    described = {}
    for operation in document["operations"].values():
        channel = _look_up(document, operation["channel"]["$ref"])
        if "kafka" not in operation.get("bindings", {}):
            continue
        (message,) = operation["messages"]
        resolved = _look_up(document, _look_up(document, message["$ref"])["$ref"])
        assert "key" in resolved["bindings"]["kafka"]
        assert channel["bindings"]["kafka"]["topic"] == channel["address"]
        described[channel["address"]] = (operation["action"], resolved["title"])
    assert described == {
        "chat-events": ("receive", "Chat event"),
        "verdict-erasures": ("send", "Erasure"),
        "verdicts": ("send", "Verdict"),
        "verdict-changes": ("send", "Verdict change"),
        "verdict-state": ("send", "Conversation state"),
        "chat-events.dlq": ("send", "Dead letter"),
        "verdicts-shadow": ("send", "Verdict"),
        "verdict-policies": ("send", "Policy table row"),
        "verdict-overrides": ("receive", "Override"),
        "verdict-decisions": ("send", "Verdict decision"),
        "verdict-reviews": ("send", "Review"),
        "verdict-feedback": ("receive", "Feedback"),
    }


def test_the_asyncapi_document_describes_the_key_in_redis() -> None:
    """Key, TTL, value and who writes it; the protocol's bindings have no field for any of them."""
    document = asyncapi_document()
    operation = document["operations"]["cacheVerdicts"]
    channel = _look_up(document, operation["channel"]["$ref"])
    assert (operation["action"], channel["address"]) == ("send", "verdict:{chatId}")
    assert channel["servers"] == [{"$ref": "#/servers/redis"}]
    assert document["servers"]["redis"]["protocol"] == "redis"
    assert channel["x-ttl-seconds"] == RedisSettings().ttl_s


def test_the_asyncapi_document_says_how_verdicts_lie_on_their_topic() -> None:
    """What the worker's producer really does, so that a join by partition and a codec can be chosen by it."""
    verdicts = asyncapi_document()["channels"]["verdicts"]
    settings = KafkaSettings(bootstrap_servers="broker:9092")
    config = producer_config(settings, transactional_id=None, max_message_bytes=1_000_000)
    assert config["partitioner"].startswith(verdicts["x-partitioner"])
    assert config["compression.type"] == verdicts["x-compression"]
    for word in ("murmur2", "kafkajs", "Never compacted", "KTable", *TRACE_CONTEXT, "kafka.forward_headers"):
        assert word in verdicts["description"]


def test_the_asyncapi_document_names_the_headers_that_travel() -> None:
    """Of a verdict and of a dead letter; the bounds are those of the code."""
    document = asyncapi_document()
    forwarded = document["components"]["schemas"]["ForwardedHeaders"]
    assert tuple(forwarded["properties"]) == TRACE_CONTEXT
    assert f"{MAX_FORWARDED_BYTES:,} bytes" in forwarded["description"]
    assert f"{MAX_NAMES} headers" in forwarded["description"]
    for name in ("Verdict", "VerdictChange", "DeadLetter"):
        references = set(_references(document["components"]["messages"][name]["headers"]))
        assert "#/components/schemas/ForwardedHeaders" in references


def test_readers_are_told_how_to_read_wherever_verdicts_are_described() -> None:
    """A Java consumer with defaults would act on verdicts that were never given."""
    document = asyncapi_document()
    verdicts = document["channels"]["verdicts"]["description"]
    texts = [
        document["info"]["description"],
        verdicts,
        document["channels"]["deadLetters"]["description"],
        document["components"]["schemas"]["Verdict"]["description"],
        (DEFAULT_FOLDER.parent / "README.md").read_text(encoding="utf-8"),
    ]
    assert all("isolation.level=read_committed" in text for text in texts)
    for word in ("Java", "source.offset", "source.partition", "verdict_id", "replay_id"):
        assert word in verdicts


def test_the_asyncapi_payloads_are_the_published_schemas() -> None:
    """One contract, written down twice by one generator."""
    schemas = asyncapi_document()["components"]["schemas"]
    for contract in CONTRACTS:
        if not contract.is_on_topics:
            continue
        text = json.dumps(contract.json_schema()).replace("#/$defs/", "#/components/schemas/")
        published = json.loads(text)
        definitions = published.pop("$defs", {})
        assert {**published, "$schema": None, "$id": None} == {
            **schemas[contract.model.__name__],
            "$schema": None,
            "$id": None,
        }
        assert all(schemas[name] == schema for name, schema in definitions.items())


def test_the_dead_letter_headers_are_those_of_the_contract() -> None:
    """Six headers always, and the size of a value that had to be cut."""
    headers = asyncapi_document()["components"]["schemas"]["DeadLetter"]
    assert headers["required"] == [
        "reason",
        "error",
        "origin_topic",
        "origin_partition",
        "origin_offset",
        "origin_timestamp_ms",
    ]
    assert set(headers["properties"]) - set(headers["required"]) == {"truncated_from_bytes"}


def test_no_generated_file_names_a_machine_or_a_place_to_fetch_from() -> None:
    """The dialect's name is the one address, and nothing is loaded from it."""
    for text in generated_files().values():
        rest = text.replace("https://json-schema.org/draft/2020-12/schema", "")
        assert "://" not in rest
        assert str(DEFAULT_FOLDER.parent.parent) not in rest
