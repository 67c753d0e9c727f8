"""What `worker show` tells a person."""

import io
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr
from redis.exceptions import BusyLoadingError, InvalidResponse, MasterDownError, MovedError
from rich.console import Console

from schemas import (
    DecidedBy,
    Decision,
    PolicyDecision,
    PreviousDecision,
    RejectionMarker,
    Source,
    Taxonomy,
    Verdict,
    category_label,
    decode_verdict,
)
from schemas.taxonomy import TaxonomyCategory
from tests.schemas.payloads import make_verdict
from worker.cache.errors import remedy
from worker.cache.show import cached_outcome, fault, print_verdict, rejection_text
from worker.errors import Degraded
from worker.settings.redis import RedisSettings


@pytest.mark.parametrize(
    ("rejected", "said"),
    [("schema_error", "was rejected (schema_error)"), ("tombstone", "erased it"), ("owed", "worker project")],
)
def test_a_marker_says_why_there_is_no_verdict(rejected: str, said: str) -> None:
    """A debt is no rejection: the verdict is on the topic, and a command writes it."""
    source = Source(topic="chat-events", partition=3, offset=17, timestamp_ms=1)
    text = rejection_text(RejectionMarker(chat_id="chat", source=source, rejected=rejected))
    assert "chat-events[3]@17" in text
    assert said in text
    assert ("was rejected" in text) == (rejected == "schema_error")


def _shown(verdict: Verdict) -> str:
    screen = io.StringIO()
    print_verdict(verdict, Console(width=120, file=screen))
    return screen.getvalue()


def test_a_verdict_of_any_taxonomy_is_shown() -> None:
    """Names come from a file of somebody else's, and are shown as they are."""
    categories = tuple(TaxonomyCategory(code=f"kind-{i}", name=f"[red]kind {i}") for i in range(256))
    large = Taxonomy(name="large", version="3", categories=categories)
    probabilities = dict.fromkeys(large.codes, 0.001) | {"kind-200": 0.745}
    label = category_label("kind-200", large)
    shown = _shown(make_verdict(taxonomy=large.ref, category=label, probabilities=probabilities))
    assert "kind-200 [red]kind 200" in shown
    assert "large 3" in shown
    assert "0.745  kind-200" in shown
    assert "allow (model)" in shown


def test_a_persons_decision_is_shown_with_the_rules_own() -> None:
    """Who asks why an ad was shown reads whom to ask."""
    shown = _shown(
        make_verdict(
            decided_by=DecidedBy.OVERRIDE, model_decision=Decision.BLOCK, actor="reviewer-7", override_revision=1_700
        )
    )
    assert "allow (override)" in shown
    assert "the rule alone" in shown
    assert "revision 1700, by reviewer-7" in shown
    assert "the rule alone" not in _shown(make_verdict())


def test_what_every_policy_decided_is_shown_and_why() -> None:
    """A person's word on one policy would else stand beside another one's decision."""
    said = PolicyDecision(version="3", decision=Decision.BLOCK, decided_by=DecidedBy.OVERRIDE)
    held = PreviousDecision(decision=Decision.BLOCK, offset=17, decided_at=datetime(2026, 1, 2, tzinfo=UTC))
    plain = make_verdict()
    decisions = {**plain.decisions, "[red]acme": said}
    shown = _shown(plain.model_copy(update={"decisions": decisions, "unevaluated": ("image",), "previous": held}))
    assert "[red]acme 3: block (override)" in shown
    assert f"{plain.policy.name} {plain.policy.version}: " not in shown
    assert "block at offset 17, 2026-01-02T00:00:00.000+00:00" in shown
    assert "not judged" in shown
    assert "image" in shown
    for row in ("other policies", "not judged", "held by"):
        assert row not in _shown(plain)


def test_a_terminal_obeys_nothing_that_upstream_wrote() -> None:
    """Upstream chooses chat ids, and who may write Redis all the rest."""
    shown = _shown(make_verdict(chat_id="a\x1b[2Jb", actor="r\x1b]0;x\x07", override_revision=1))
    assert "a?[2Jb" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_verdict_of_version_1_is_shown() -> None:
    """A key holds one until the chat's next event, or the TTL's end."""
    golden = Path(__file__).parents[2] / "schemas" / "golden" / "verdict.v1.json"
    assert "chat-13 1" in _shown(decode_verdict(golden.read_bytes()))


def test_an_id_is_whole_in_a_narrow_window() -> None:
    """It is copied from there and searched for on the topic."""
    verdict = make_verdict().model_copy(update={"verdict_id": f"sha256:{'0123456789abcdef' * 4}"})
    screen = io.StringIO()
    print_verdict(verdict, Console(width=80, file=screen))
    shown = "".join(line.split("│")[2].strip() for line in screen.getvalue().splitlines() if line.count("│") > 2)
    assert verdict.verdict_id in shown


def _refusal(url: str, *, timeout_s: float = 2.0) -> str:
    with pytest.raises(Degraded) as caught:
        cached_outcome(RedisSettings(url=SecretStr(url)), "chat", timeout_s=timeout_s)
    assert "canary" not in str(caught.value)
    return str(caught.value)


def test_a_redis_that_is_not_there_is_told_from_a_name_that_is_not_known() -> None:
    """The one is a port, the other a host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = _refusal(f"redis://:canary@127.0.0.1:{port}/0")
    assert f"Redis at 127.0.0.1:{port}: nothing listens there" in text
    assert "name of its host is not known" in _refusal("redis://:canary@nowhere.invalid/0")
    assert "cannot be read" in _refusal("unix:///nowhere/redis.sock")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MovedError("1234 10.0.0.1:6379"), "not supported"),
        (redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), "holds no text"),
        (MasterDownError("Link with MASTER is down"), "replica without its master"),
        (BusyLoadingError("Redis is loading the dataset in memory"), "loading its data"),
        (redis.ConnectionError("max number of clients reached"), "maxclients"),
        (InvalidResponse('Protocol error, got "H" as reply type byte'), "no Redis"),
        (redis.ResponseError("unknown command canary"), "refuses the command"),
        (redis.ConnectionError("canary"), "no connection"),
    ],
)
def test_a_fault_that_redis_names_is_told_with_a_remedy(error: redis.RedisError, said: str) -> None:
    """As redis-py raises it; nothing is quoted, since Redis quotes arguments."""
    assert remedy(error) is None
    text = fault(error, timeout_s=2)
    assert said in text
    assert "canary" not in text
