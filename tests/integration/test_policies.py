"""Twenty policies beside the default one, changed under traffic: real Kafka, real Redis, a real worker."""

from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
import pytest

from deploy.local import LocalStack
from deploy.local.ports import free_ports
from model import Bundle, PolicyError, load_bundle, load_policy
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from model.policies.table import policy_rows
from schemas import Verdict
from schemas.policy_table import PolicyTableRow, decode_policy_row
from testkit.reader import read_all
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import repeated_events
from tests.integration.probes import samples

pytestmark = pytest.mark.services

N_POLICIES: Final = 20
_RATES: Final = (0.02, 0.05, 0.1)


def _write(folder: Path, i: int, **fields: Any) -> None:
    """Write policy `p00`, `p01` and so on; no two of them ask for the same."""
    codes = "ABCEFGHIK"
    values = {
        "name": f"p{i:02d}",
        "version": "1",
        "banned": ["D", "J", "M", codes[i % len(codes)]],
        "enforcement": {codes[i % len(codes)]: "should", "D": ("must", "should", "may")[i % 3]},
        "max_banned_to_safe_rate": _RATES[i % 3],
        "max_safe_to_banned_rate": _RATES[i // 3 % 3],
        "max_message_characters": 200 if i % 4 == 0 else None,
        "languages": ["en"] if i % 5 == 0 else None,
        "requested_by": f"advertiser-{i}" if i % 2 else None,
        **fields,
    }
    # In one step, as a ConfigMap changes.
    staged = folder / f".p{i:02d}"
    staged.write_bytes(orjson.dumps(values))
    staged.replace(folder / f"p{i:02d}.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of twenty policies."""
    (tmp_path / "policies").mkdir()
    for i in range(N_POLICIES):
        _write(tmp_path / "policies", i)
    return tmp_path / "policies"


@pytest.fixture
def table_topic(stack: LocalStack) -> str:
    """Create the topic of the policy table."""
    name = f"verdict-policies-{uuid4().hex[:8]}"
    stack.kafka.create_topics({name: 1}, config={"cleanup.policy": "compact"})
    return name


def _set_of(bundle: Bundle, folder: Path) -> PolicySet:
    """Return the policies that the files hold, without those that are none."""
    policies = []
    for path in sorted(folder.glob("*.json")):
        try:
            policies.append(load_policy(path, bundle))
        except PolicyError:
            continue
    return policies_over(bundle, [bundle.default_policy, *policies])


def _rows(topic: str, bootstrap_servers: str) -> dict[bytes, PolicyTableRow]:
    found = read_all(bootstrap_servers, [topic])
    return {record.key: decode_policy_row(record.value) for record in found if record.key and record.value}


def _send_until(ledger: LiveLedger, worker: WorkerProcess, events: Any, event: str) -> None:
    """Keep a little traffic flowing until the worker has logged an event."""

    def sent_and_seen() -> bool:
        ledger.send(next(events) for _ in range(5))
        return bool(worker.events(event))

    wait_until(sent_and_seen, timeout_s=60, what=worker.tail)


def _assert_decided_by_one_of(verdict: Verdict, sets: list[PolicySet]) -> int:
    """Assert that a verdict's decisions are those of one of the sets, and return which."""
    named = {name: said.version for name, said in verdict.decisions.items()}
    of = [{policy.name: policy.version for policy in policies.policies} for policies in sets].index(named)
    expected = sets[of].decide(
        verdict.evidence,
        category=verdict.category.code,
        unevaluated=verdict.unevaluated,
        language=verdict.language,
        longest_message=verdict.longest_message,
        at=verdict.decided_at,
    )
    assert verdict.decisions == expected.decisions
    assert (verdict.decision, verdict.decided_by) == (expected.judgement.decision, expected.judgement.decided_by)
    return of


def test_twenty_policies_decide_on_every_verdict_and_change_under_traffic(
    *,
    stack: LocalStack,
    ledger: LiveLedger,
    folder: Path,
    table_topic: str,
    bundle_path: Path,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """Each input one verdict, each decision the one that its policy gives, and the table says by what."""
    bundle, (port,) = load_bundle(bundle_path), free_ports(1)
    worker = start_worker(
        MODEL__POLICIES_DIR=str(folder),
        MODEL__RELOAD_INTERVAL_S="0.1",
        KAFKA__POLICIES_TOPIC=table_topic,
        HTTP__PORT=str(port),
    )
    sets = [_set_of(bundle, folder)]
    events = repeated_events(sample_chats, 100_000, n_chats=60)
    ledger.send(next(events) for _ in range(60))
    ledger.wait_complete()
    _assert_table_holds(sets[0], bundle, table_topic, stack.bootstrap_servers)
    # One changes, one comes, one goes, one breaks.
    (folder / "p03.json").unlink()
    _write(folder, N_POLICIES)
    (folder / "p05.json").write_bytes(b'{"name": "p05", "version": "2", "ban')
    _write(folder, 7, version="2", banned=["F"], enforcement={})
    _send_until(ledger, worker, events, "policy_refused")
    wait_until(lambda: _in_use(port) == {"p05": "1", "p07": "2", "p20": "1"}, timeout_s=60, what=worker.tail)
    ledger.send(next(events) for _ in range(120))
    ledger.wait_complete()
    kept = load_policy(_copy_of_old(folder.parent, 5), bundle)
    others = _set_of(bundle, folder).policies[1:]
    sets.append(policies_over(bundle, [bundle.default_policy, *sorted([*others, kept], key=lambda one: one.name)]))
    assert samples(port, "moderation_policies_refused")[()] == 1
    assert samples(port, "moderation_reload_failed")[(("role", "live"),)] == 0
    ledger.assert_exactly_once()
    n_hits_anew = 0
    for _, verdict in sorted(ledger.verdicts().items()):
        # Files change one after the other: what is seen in between is of neither set, and only a few verdicts long.
        if {name: said.version for name, said in verdict.decisions.items()} in map(_versions, sets):
            n_hits_anew += _assert_decided_by_one_of(verdict, sets) == 1 and verdict.cache_hit
    assert n_hits_anew >= 60, "cached under the old policies, decided anew under the new ones"
    _assert_table_holds(sets[1], bundle, table_topic, stack.bootstrap_servers)
    n_first = len(sets[0].rules)
    assert len(_rows(table_topic, stack.bootstrap_servers)) == n_first + 2, "a row whose policy is gone stays"
    assert worker.stop() == 0


def _versions(policies: PolicySet) -> dict[str, str]:
    return {policy.name: policy.version for policy in policies.policies}


def _in_use(port: int) -> dict[str, str]:
    """Return the versions of the policies that are changed, as the metrics show them."""
    shown = [dict(labels) for labels in samples(port, "moderation_policy_info")]
    return {one["name"]: one["version"] for one in shown if one["name"] in {"p03", "p05", "p07", "p20"}}


def _copy_of_old(folder: Path, i: int) -> Path:
    old = folder / "old"
    old.mkdir()
    _write(old, i)
    return old / f"p{i:02d}.json"


def _assert_table_holds(policies: PolicySet, bundle: Bundle, topic: str, bootstrap_servers: str) -> None:
    expected = {row.key: row for row in policy_rows(policies, bundle.ref, bundle.taxonomy)}

    def is_there() -> bool:
        return expected.items() <= _rows(topic, bootstrap_servers).items()

    wait_until(is_there, timeout_s=60, what=lambda: "the table lacks rows")


def test_a_table_topic_that_forgets_ends_the_start(stack: LocalStack, folder: Path, start_worker: StartWorker) -> None:
    """Readers would lose the thresholds of policies that stay as they are."""
    name = f"verdict-policies-{uuid4().hex[:8]}"
    stack.kafka.create_topics({name: 1}, config={"cleanup.policy": "delete"})
    worker = start_worker(MODEL__POLICIES_DIR=str(folder), KAFKA__POLICIES_TOPIC=name)
    wait_until(lambda: worker.exit_code is not None, timeout_s=60, what=worker.tail)
    assert worker.exit_code == 3
    assert "cleanup.policy is delete; expected compact" in worker.tail()
