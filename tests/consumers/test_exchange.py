"""The examples for the ad exchange: three languages print what the command prints, and it is OpenRTB 2.6."""

import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import (
    CHAT_13,
    DecidedBy,
    Decision,
    PolicyDecision,
    RejectionMarker,
    Source,
    TaxonomyRef,
    Verdict,
    category_label,
    encode_marker,
    encode_verdict,
)
from tests.command_line import run_main
from tests.consumers.example import Example, build
from tests.consumers.readme import REPOSITORY, commands
from tests.schemas.payloads import make_verdict

pytestmark = [pytest.mark.services, pytest.mark.consumers, pytest.mark.timeout(1_200)]

LANGUAGES = [
    Example("Exchange in Python", ("python3",)),
    Example("Exchange in TypeScript", ("node", "npm")),
    Example("Exchange in Java", ("java", "javac", "mvn")),
]
CHECK = Example("Exchange check", ("go",))
FORMS = ("openrtb", "prebid", "key-values")
SEGTAX = "600"
LIMIT_S = 120


def verdict(code: str, decision: Decision, by: DecidedBy = DecidedBy.MODEL, **fields: Any) -> Verdict:
    """Return a verdict of this category and decision; policy acme always says `review`."""
    decisions = {
        "default": PolicyDecision(version="1", decision=decision, decided_by=by),
        "acme": PolicyDecision(version="7.1", decision=Decision.REVIEW, decided_by=DecidedBy.ADVERTISER),
    }
    made = make_verdict(**{"decision": decision, "category": category_label(code, CHAT_13), **fields})
    return made.model_copy(update={"decisions": decisions, "unevaluated": fields.get("unevaluated", ())})


def source(timestamp_ms: int) -> Source:
    """Return a record of this time."""
    return Source(topic="chat-events", partition=3, offset=2**63 - 1, timestamp_ms=timestamp_ms)


PETS: dict[str, Any] = {
    "category": {"code": "c" * 41, "name": "ünï"},
    "probabilities": {"c" * 41: 0.75, "dog": 0.25},
}
VERDICTS = [
    *(verdict(code, decision) for code in CHAT_13.codes for decision in Decision),
    *(verdict("F", Decision.ALLOW, banned_to_safe_risk=risk) for risk in (0, 0.01, 0.010001, 0.05, 0.2, 0.21, 1)),
    *(
        verdict("F", Decision.ALLOW, source=source(ms))
        for ms in (-1, 1_700_000_000, 1_293_840_000_000, 1_700_000_000_007, 1_700_000_000_120, 4_102_444_800_000)
    ),
    *(verdict("F", Decision.ALLOW, chat_id=chat_id) for chat_id in ("чат-\U0001f6cd-会话", "x" * 256, '"\\')),
    *(verdict("F", decision, DecidedBy.UNEVALUATED, unevaluated=("image", "too_long")) for decision in Decision),
    verdict("F", Decision.ALLOW, language=None),
    verdict("F", Decision.ALLOW, language="deu"),
    verdict("F", Decision.ALLOW, event_id=None, previous=None),
    verdict("F", Decision.ALLOW, taxonomy=TaxonomyRef(name="chat-13", version="2")),
    verdict("F", Decision.ALLOW, taxonomy=TaxonomyRef(name="pets", version="1"), **PETS),
]
MARKER = RejectionMarker(chat_id="chat-1", source=source(1), rejected="tombstone")
LINES = [
    *map(encode_verdict, VERDICTS),
    encode_verdict(VERDICTS[0]).removesuffix(b"}") + b',"later":{"a":[1.5,null]},"mac":"x"}',
    encode_marker(MARKER),
    b"null",
    orjson.dumps(orjson.loads((REPOSITORY / "tests/schemas/golden/verdict.v1.json").read_bytes())),
]


@pytest.fixture(scope="module")
def verdicts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with every kind of line that the command reads."""
    path = tmp_path_factory.mktemp("verdicts") / "verdicts.jsonl"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


def said(verdicts: Path, form: str, policy: str | None) -> list[dict[str, Any]]:
    """Return what the project's own command prints."""
    chosen = ["--policy", policy] if policy else []
    ended = run_main("model", "openrtb", verdicts, "--form", form, "--segtax", SEGTAX, *chosen)
    assert ended.returncode == 0, ended.stderr
    return [orjson.loads(line) for line in ended.stdout.splitlines()]


@pytest.mark.parametrize("example", LANGUAGES, ids=lambda example: example.heading)
def test_every_language_prints_what_the_command_prints(example: Example, verdicts_file: Path) -> None:
    """A team that ports 150 lines must tell buyers the same."""
    build(example)
    program = commands(example.heading).run.partition(" openrtb ")[0]
    for form in FORMS:
        for policy in (None, "acme", "other"):
            line = f"{program} {form} examples/exchange/taxonomy.json {SEGTAX} {policy or ''} < {verdicts_file}"
            done = subprocess.run(
                ["bash", "-c", line], cwd=REPOSITORY, capture_output=True, timeout=LIMIT_S, check=False
            )
            assert done.returncode == 0, done.stderr
            if policy == "other":
                # The command takes a policy that no verdict knows for a mistake.
                assert {orjson.loads(one)["decision"] for one in done.stdout.splitlines()} == {"unknown"}
                continue
            found = [orjson.loads(one) for one in done.stdout.splitlines()]
            expected = said(verdicts_file, form, policy)
            assert len(found) == len(expected) == len(LINES)
            for number, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
                assert theirs == ours, (form, policy, number)


@pytest.mark.parametrize("example", LANGUAGES, ids=lambda example: example.heading)
def test_a_later_schema_version_ends_every_language(example: Example) -> None:
    """A wrong reading of a later format would be sold."""
    build(example)
    line = commands(example.heading).run.partition(" < ")[0]
    later = encode_verdict(VERDICTS[0]).replace(b'"schema_version":2', b'"schema_version":3', 1) + b"\n"
    done = subprocess.run(
        ["bash", "-c", line], cwd=REPOSITORY, input=later, capture_output=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode != 0
    assert (done.stdout, b"schema_version 3" in done.stderr) == (b"", True)


def check(requests: list[dict[str, Any]]) -> tuple[int, str]:
    """Run the check over bid requests; return its exit code and what it says."""
    build(CHECK)
    program = commands(CHECK.heading).run.partition(" < ")[0]
    lines = b"".join(orjson.dumps(request) + b"\n" for request in requests)
    done = subprocess.run([program], cwd=REPOSITORY, input=lines, capture_output=True, timeout=LIMIT_S, check=False)
    return done.returncode, done.stdout.decode()


def bid_requests(verdicts: Path) -> list[dict[str, Any]]:
    """Return a whole bid request for every line that may have one, in both forms."""
    shown = [
        line["document"] if form == "openrtb" else line["document"]["ortb2"]
        for form in ("openrtb", "prebid")
        for line in said(verdicts, form, None)
        if line["bid"]
    ]
    return [{"id": "1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}], "at": 1, **one} for one in shown]


def test_what_is_printed_is_openrtb(verdicts_file: Path) -> None:
    """By the types of Prebid Server, which refuses a request whose member has another type."""
    requests = bid_requests(verdicts_file)
    assert check(requests) == (0, f"{len(requests)} bid requests\n")


def test_the_check_finds_what_is_no_openrtb(verdicts_file: Path) -> None:
    """Or the test above would show nothing."""
    request = bid_requests(verdicts_file)[0]
    site = request["site"]
    content = site["content"]
    wrong = [
        {**request, "site": {**site, "catax": 7}},
        {**request, "site": {**site, "cattax": "7"}},
        {**request, "site": {**site, "pagecat": 596}},
        {**request, "site": {**site, "content": {**content, "data": content["data"][0]}}},
        {**request, "site": {**site, "content": {**content, "segment": []}}},
    ]
    code, report = check(wrong)
    assert code == 1
    assert [line.partition(":")[0] for line in report.splitlines()[:-1]] == [f"line {n}" for n in range(1, 6)]
