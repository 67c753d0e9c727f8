"""One worker for any taxonomy: bundles of four run on one broker, and one hands over to another under traffic."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.local.ports import free_ports
from schemas import CHAT_13, Decision, Verdict
from testkit.records import Place
from testkit.waiting import wait_until
from tests.bundles import serve
from tests.integration.conftest import Settings, StartWorker
from tests.integration.four_bundles import TaxonomyBundle, four_bundles
from tests.integration.ledger import LiveLedger
from tests.integration.probes import samples
from tests.integration.workers import run_command
from tests.tiny_taxonomies import PETS
from worker.process.lifecycle import EXIT_FATAL

pytestmark = pytest.mark.services

WORDS = ("garden", "stupid", "ignore", "why", "because", "cat", "bark")


@pytest.fixture(scope="module")
def bundles(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TaxonomyBundle]:
    """Return bundles of four taxonomies."""
    return four_bundles(bundle_path, tmp_path_factory.mktemp("bundles"))


def chats(*, round_of: int = 0) -> list[dict[str, Any]]:
    """Return one chat for each word; of every round the same chat_ids."""
    return [
        {"chat_id": f"chat-{word}", "messages": [{"role": "user", "content": f"{word} number {round_of}"}]}
        for word in WORDS
    ]


def assert_speaks_of(taxonomy: Any, verdicts: Sequence[Verdict]) -> None:
    """Every verdict is of this taxonomy, through and through."""
    for verdict in verdicts:
        assert verdict.taxonomy == taxonomy.ref
        assert tuple(verdict.probabilities) == tuple(verdict.evidence) == taxonomy.codes
        assert sum(verdict.probabilities.values()) == pytest.approx(1, abs=1e-4)
        assert verdict.category.name == taxonomy.names[verdict.category.code]


def newest(ledger: LiveLedger, seen: set[Place]) -> dict[Place, Verdict]:
    """Return the verdicts that were not looked at before."""
    found = {place: verdict for place, verdict in ledger.verdicts().items() if place not in seen}
    seen.update(found)
    return found


def word_of(ledger: LiveLedger, place: Place) -> str:
    """Return the word of the text that was sent."""
    return str(orjson.loads(ledger.sent[place].value or b"")["messages"][0]["content"].split()[0])


def test_bundles_of_four_taxonomies_run_one_after_the_other_on_one_broker(
    ledger: LiveLedger, bundles: dict[str, TaxonomyBundle], start_worker: StartWorker
) -> None:
    """The same chats, topics and Redis keys: each verdict is of the taxonomy in use, and none of the one before."""
    seen: set[Place] = set()
    for name, bundle in bundles.items():
        (port,) = free_ports(1)
        worker = start_worker(MODEL__PATH=str(bundle.folder), HTTP__PORT=str(port))
        ledger.send(chats())
        ledger.wait_complete()
        first = newest(ledger, seen)
        assert not any(verdict.cache_hit for verdict in first.values()), "the cache holds the other taxonomy's verdicts"
        ledger.send(chats())
        ledger.wait_complete()
        again = newest(ledger, seen)
        assert all(verdict.cache_hit for verdict in again.values())
        assert_speaks_of(bundle.taxonomy, [*first.values(), *again.values()])
        for place, verdict in (first | again).items():
            if (expected := bundle.words.get(word_of(ledger, place))) is not None:
                assert verdict.category.code == expected
        _assert_shown(port, worker.events("worker_started")[0], bundle)
        assert worker.stop() == 0, name
    ledger.assert_exactly_once()


def _assert_shown(port: int, started: dict[str, Any], bundle: TaxonomyBundle) -> None:
    """Start log and metrics name the taxonomy and say whether the bundle was calibrated."""
    is_calibrated = bundle.taxonomy != PETS
    assert started["taxonomy"] == bundle.taxonomy.ref.model_dump()
    assert started["calibrated"] is is_calibrated
    assert samples(port, "moderation_model_calibrated") == {(("role", "live"),): is_calibrated}
    (labels,) = samples(port, "moderation_model_info")
    assert dict(labels)["taxonomy"] == str(bundle.taxonomy.ref)
    counted = {dict(labels)["category"] for labels in samples(port, "moderation_verdicts_total")}
    assert counted <= set(bundle.taxonomy.codes)


def test_decisions_follow_each_taxonomys_own_policy(
    ledger: LiveLedger, bundles: dict[str, TaxonomyBundle], start_worker: StartWorker
) -> None:
    """What a taxonomy bans is blocked; one that bans nothing allows all, though nobody calibrated it."""
    seen: set[Place] = set()
    expected = {
        "toxicity": {"stupid": (Decision.BLOCK, "model"), "garden": (Decision.ALLOW, "model")},
        "pets": {"cat": (Decision.ALLOW, "nothing_banned"), "bark": (Decision.ALLOW, "nothing_banned")},
    }
    for name, by_word in expected.items():
        worker = start_worker(MODEL__PATH=str(bundles[name].folder))
        ledger.send(chats())
        ledger.wait_complete()
        verdicts = newest(ledger, seen)
        said = {word_of(ledger, place): verdict for place, verdict in verdicts.items()}
        assert {word: (said[word].decision, said[word].decided_by.value) for word in by_word} == by_word
        assert worker.stop() == 0


def test_one_taxonomy_hands_over_to_another_under_traffic(
    ledger: LiveLedger, bundles: dict[str, TaxonomyBundle], start_worker: StartWorker, tmp_path: Path
) -> None:
    """F35: every verdict up to the swap is of the old taxonomy, every later one of the new; the cache mixes nothing."""
    old, new = bundles["toxicity"], bundles["community"]
    registry = tmp_path / "registry"
    for version, bundle in (("1", old), ("2", new)):
        shutil.copytree(bundle.folder, registry / "m" / version)
    serve(registry, "m/1")
    (port,) = free_ports(1)
    worker = start_worker(MODEL__PATH=str(registry), MODEL__RELOAD_INTERVAL_S="0.1", HTTP__PORT=str(port))
    rounds = _rounds()
    _send_round_by_round(ledger, rounds)
    serve(registry, "m/2")

    def sent_and_swapped() -> bool:
        ledger.send(next(rounds))
        return bool(worker.events("model_swapped"))

    wait_until(sent_and_swapped, timeout_s=60, what=worker.tail)
    _send_round_by_round(ledger, rounds)
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    verdicts = ledger.verdicts()
    for bundle in (old, new):
        mine = {place: one for place, one in verdicts.items() if one.model.digest == bundle.digest}
        assert any(one.cache_hit for one in mine.values())
        assert_speaks_of(bundle.taxonomy, list(mine.values()))
        for place, verdict in mine.items():
            if (expected := bundle.words.get(word_of(ledger, place))) is not None:
                assert verdict.category.code == expected
    _assert_one_change_per_partition(verdicts)
    swapped = worker.events("model_swapped")[0]
    assert (swapped["taxonomy"]["name"], swapped["calibrated"]) == ("community", True)


def _rounds() -> Iterator[list[dict[str, Any]]]:
    """Yield the chats over and over; every other time they say the same as before, so that the cache answers."""
    number = 0
    while True:
        yield chats(round_of=number // 2)
        number += 1


def _send_round_by_round(ledger: LiveLedger, rounds: Iterator[list[dict[str, Any]]]) -> None:
    """Send four rounds, each after the one before was answered and cached."""
    for _ in range(4):
        ledger.send(next(rounds))
        ledger.wait_complete()


def _assert_one_change_per_partition(verdicts: dict[Place, Verdict]) -> None:
    named: dict[int, list[str]] = {}
    for place, verdict in sorted(verdicts.items()):
        named.setdefault(place.partition, []).append(verdict.taxonomy.name)
    for names in named.values():
        assert names == sorted(names, key=["toxicity", "community"].index)
    assert {name for names in named.values() for name in names} == {"toxicity", "community"}


def test_two_taxonomies_share_a_redis_under_two_prefixes(
    ledger: LiveLedger, bundles: dict[str, TaxonomyBundle], start_worker: StartWorker, cache: Any
) -> None:
    """An ad server reads the verdict of the classifier that it asks for."""
    for name in ("toxicity", "community"):
        worker = start_worker(MODEL__PATH=str(bundles[name].folder), REDIS__KEY_PREFIX=f"{name}:")
        ledger.send(chats())
        ledger.wait_complete()
        assert worker.stop() == 0
    for name in ("toxicity", "community"):
        value = orjson.loads(cache.get(f"{name}:chat-why"))
        assert value["taxonomy"]["name"] == name
        assert set(value["probabilities"]) == set(bundles[name].taxonomy.codes)
    assert not list(cache.scan_iter(match="verdict:*"))


@pytest.mark.parametrize("command", ["run", "check-config"])
def test_a_policy_of_another_taxonomy_ends_the_start_with_both_names(
    bundles: dict[str, TaxonomyBundle], settings: Settings, tmp_path: Path, command: str
) -> None:
    """As any other policy that cannot be used, before anything is read."""
    policy = tmp_path / "policy.toml"
    policy.write_text(_policy("chat-13", ["D"]))
    told = settings | {
        "MODERATION_MODEL__PATH": str(bundles["community"].folder),
        "MODERATION_MODEL__POLICY_PATH": str(policy),
    }
    done = run_command(command, settings=told)
    assert done.returncode == EXIT_FATAL
    assert "chat-13" in done.stdout + done.stderr
    assert "community" in done.stdout + done.stderr
    policy.write_text(_policy("community", ["question", "querstion"]))
    done = run_command(command, settings=told)
    assert done.returncode == EXIT_FATAL
    assert "querstion" in done.stdout + done.stderr


def test_check_config_names_the_taxonomy(bundles: dict[str, TaxonomyBundle], settings: Settings) -> None:
    """And says that nobody calibrated the bundle."""
    done = run_command("check-config", settings=settings | {"MODERATION_MODEL__PATH": str(bundles["pets"].folder)})
    assert done.returncode == 0
    assert "under policy default 2, taxonomy pets 1, not calibrated" in done.stdout
    assert f"taxonomy {CHAT_13.ref}" in run_command("check-config", settings=settings).stdout


def _policy(taxonomy: str, banned: list[str]) -> str:
    return (
        f'name = "strict"\nversion = "1"\ntaxonomy = "{taxonomy}"\nbanned = {banned}\n'
        "max_banned_to_safe_rate = 0.1\nmax_safe_to_banned_rate = 0.1\n"
    )
