"""`python -m model openrtb`: what it prints of each line and how it ends."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import (
    DecidedBy,
    Decision,
    PolicyDecision,
    RejectionMarker,
    Source,
    Verdict,
    encode_marker,
    encode_verdict,
)
from schemas.exchange import opaque_id
from tests.command_line import Ended, run_main
from tests.schemas.payloads import make_verdict

SOURCE = Source(topic="chat-events", partition=3, offset=41, timestamp_ms=1_700_000_000_000)
MARKER = RejectionMarker(chat_id="chat-1", source=SOURCE, rejected="schema_error")


def run(*arguments: str | Path, lines: list[bytes]) -> Ended:
    """Run the command over lines on standard input."""
    return run_main("model", "openrtb", "-", *arguments, stdin=b"\n".join(lines) + b"\n")


def printed(ended: Ended) -> list[dict[str, Any]]:
    """Return what it printed."""
    return [orjson.loads(line) for line in ended.stdout.splitlines()]


def verdict(decision: Decision, **fields: Any) -> bytes:
    """Return a verdict whose default policy says this, and whose policy acme allows."""
    decisions = {
        "default": PolicyDecision(version="1", decision=decision, decided_by=DecidedBy.MODEL),
        "acme": PolicyDecision(version="7", decision=Decision.ALLOW, decided_by=DecidedBy.ADVERTISER),
    }
    made: Verdict = make_verdict(decision=decision, **fields).model_copy(update={"decisions": decisions})
    return encode_verdict(made)


def test_each_line_has_its_answer_in_order() -> None:
    """Who joins by position must not be off by one; a blocked chat says so and has no document."""
    lines = [
        verdict(Decision.ALLOW),
        b"",
        verdict(Decision.BLOCK, chat_id="chat-2"),
        encode_marker(MARKER),
        b"null",
        b"{}",
        verdict(Decision.ALLOW).removesuffix(b"}") + b',"rejected":null}',
        verdict(Decision.REVIEW, event_id=10**30),
    ]
    ended = run("--segtax", "600", lines=lines)
    allowed, blocked, marked, missing, *refused, reviewed = printed(ended)
    assert ended.returncode == 0
    assert (allowed["id"], allowed["decision"], allowed["bid"]) == (opaque_id("chat-1"), "allow", True)
    assert allowed["document"]["site"]["pagecat"] == ["596", "602"]
    assert blocked == {"id": opaque_id("chat-2"), "decision": "block", "bid": False, "document": None}
    assert (marked["id"], marked["decision"]) == (opaque_id("chat-1"), "unknown")
    assert (missing["id"], missing["decision"]) == (None, "unknown")
    assert refused == [{"rejected": "not_a_verdict", "line": 6}, {"rejected": "not_a_verdict", "line": 7}]
    assert reviewed["decision"] == "review"
    assert "1 of 7 lines: block, no bid request" in ended.stderr.decode()
    assert "2 of 7 lines are no verdict, the first is line 6" in ended.stderr.decode()


def test_another_policy_decides_where_it_is_named() -> None:
    """An advertiser's own."""
    ended = run("--policy", "acme", "--form", "key-values", "--key-prefix", "acme_", lines=[verdict(Decision.BLOCK)])
    (line,) = printed(ended)
    assert line["document"] == {"acme_decision": "allow", "acme_risk": "unknown", "acme_category": "F"}


def test_a_policy_that_no_verdict_knows_is_a_mistake() -> None:
    """A typo would otherwise tell buyers `unknown` for ever."""
    ended = run("--policy", "amce", "--no-segments", lines=[verdict(Decision.ALLOW)])
    assert ended.returncode == 3
    assert "no verdict has a decision under policy 'amce'; found acme, default" in ended.stderr.decode()


def test_a_long_list_of_policies_says_how_many_it_leaves_out() -> None:
    """Whoever looks for his own among them must not take it for all."""
    document = orjson.loads(verdict(Decision.ALLOW))
    document["decisions"] |= {f"p{i}": document["decisions"]["acme"] for i in range(5)}
    ended = run("--policy", "amce", "--no-segments", lines=[orjson.dumps(document)])
    assert "found acme, default, p0, p1, p2 and 2 more; name one of them" in ended.stderr.decode()


def test_a_verdict_of_version_1_is_read() -> None:
    """The topic holds them for days after an upgrade."""
    golden = orjson.loads((Path(__file__).parents[1] / "schemas/golden/verdict.v1.json").read_bytes())
    (line,) = printed(run("--no-segments", lines=[orjson.dumps(golden)]))
    assert line["decision"] == golden["decision"]


def test_segments_need_a_number_or_a_word() -> None:
    """No number is taken that another vendor may have."""
    for arguments in ([], ["--segtax", "600", "--no-segments"]):
        ended = run(*arguments, lines=[verdict(Decision.ALLOW)])
        assert (ended.returncode, ended.stdout) == (2, b"")
        assert "segtax.md" in " ".join(ended.stderr.decode().split())
    assert run("--segtax", "501", "--cattax", "1", lines=[]).returncode == 2
    assert run("--no-segments", "--taxonomy", "nowhere", lines=[]).returncode == 2


def test_ids_follow_a_secret_or_are_plain(tmp_path: Path) -> None:
    """The default is a hash that anybody can make who knows a chat_id."""
    (tmp_path / "key").write_text("a secret of sixteen bytes and more\n")
    (tmp_path / "short").write_text("short\n")
    lines = [verdict(Decision.ALLOW)]
    (hashed,) = printed(run("--no-segments", "--id-key-file", tmp_path / "key", lines=lines))
    assert hashed["id"] == opaque_id("chat-1", b"a secret of sixteen bytes and more")
    (plain,) = printed(run("--no-segments", "--plain-id", lines=lines))
    assert plain["document"]["site"]["content"]["id"] == "chat-1"
    for name in ("short", "missing"):
        assert run("--no-segments", "--id-key-file", tmp_path / name, lines=lines).returncode == 2


def test_a_file_without_verdicts_is_refused(tmp_path: Path) -> None:
    """A wrong file must not pass for one in which nothing is said."""
    ended = run("--no-segments", lines=[b"[", b"1"])
    assert (ended.returncode, len(printed(ended))) == (3, 2)
    assert run_main("model", "openrtb", tmp_path / "none", "--no-segments").returncode == 2


@pytest.mark.parametrize("form", ["openrtb", "prebid", "key-values"])
def test_a_file_is_read_as_standard_input_is(form: str, tmp_path: Path) -> None:
    """The usual way for a batch."""
    path = tmp_path / "verdicts.jsonl"
    path.write_bytes(verdict(Decision.ALLOW) + b"\n")
    from_file = run_main("model", "openrtb", path, "--form", form, "--no-segments")
    assert from_file.stdout == run("--form", form, "--no-segments", lines=[verdict(Decision.ALLOW)]).stdout != b""
