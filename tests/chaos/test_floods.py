"""One chat, one giant or one batch that is too much: the others are not harmed (F15, F27, F29, F34)."""

import itertools
from typing import Any, Final

from deploy.local.ports import free_ports
from deploy.local.proxied_stack import ProxiedStack
from testkit.fault_proxy import KafkaApi
from testkit.ledger import origin
from testkit.records import InputRecord, Place
from testkit.worker_process import WorkerProcess
from tests.bad_inputs import bad_inputs
from tests.chaos.conditions import moments, rss_mb, total
from tests.chaos.conftest import StartWorker
from tests.chaos.test_lost_answers import wait_held
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events

QUEUE_BYTES: Final = 65_536 * 1_024
"""What a worker's producer keeps at most, `queue.buffering.max.kbytes`."""
LETTER_BYTES: Final = 900_000
N_LETTERS: Final = 90
N_BOMBS: Final = 60
"""Of each kind, in a wave."""
GROWTH_MB: Final = 25.0
"""From one wave to the next of the same kind."""
BOMBS: Final = ("100,000 nested brackets", "nested brackets in a field", "5,000-digit integer", "NaN", "duplicate keys")
GIANTS: Final = ("1 MB single word", "1 MB of combining marks", "zero-width only")


def test_dead_letters_that_overfill_the_producers_queue_wait_for_room(
    *, proxied: ProxiedStack, ledger: LiveLedger, start_worker: StartWorker
) -> None:
    """F15: one transaction larger than the queue, before a broker that does not take it: no loss, no leak."""
    (broker,) = proxied.brokers
    bad = [InputRecord(b"big", b"{" + b"%06d" % i + b"x" * LETTER_BYTES) for i in range(N_LETTERS)]
    peaks: list[float] = []
    worker: WorkerProcess | None = None
    for _ in range(2):
        ledger.send_raw(bad, partition=0)
        hold = broker.hold(KafkaApi.PRODUCE, "request", n_most=1_000)
        worker = worker or start_worker(
            KAFKA__PREFETCH_MAX_BYTES="99000000",
            KAFKA__PARTITION_FETCH_MAX_BYTES="99000000",
            KAFKA__TRANSACTION_TIMEOUT_S="60",
            KAFKA__REQUEST_TIMEOUT_S="60",
            BATCH__MAX_BYTES="400000000",
            BATCH__THIN_S="4",
            BATCH__LAGGING_S="4",
        )
        wait_held(hold)
        peaks.append(max(rss_mb(worker) for _ in moments(3)))
        hold.release()
        ledger.wait_complete()
    assert worker is not None
    most = max(event["n_records"] for event in worker.events("batch_done"))
    assert most * LETTER_BYTES > QUEUE_BYTES, f"{most} letters fit into the queue; nothing was shown"
    assert peaks[1] < peaks[0] + 2 * QUEUE_BYTES / 1e6
    ledger.assert_exactly_once()
    print(
        f"F15: {most} letters of {LETTER_BYTES / 1e6:.1f} MB in a transaction, RSS {peaks[0]:.0f} and {peaks[1]:.0f} MB"
    )


def test_many_bombs_are_dead_lettered_in_flat_memory(
    *, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F27: deep, long, not a number, twice the same key; each is refused, and the second wave takes no more memory."""
    worker = start_worker()
    by_name = {bad.name: bad for bad in bad_inputs()}
    ledger.send(short_events(sample_chats, 100, n_chats=50))
    ledger.wait_complete()
    waves: list[float] = []
    for _ in range(2):
        for name in BOMBS:
            ledger.send_raw(InputRecord(b"bomb-%d" % i, by_name[name].value) for i in range(N_BOMBS))
        ledger.wait_complete()
        waves.append(rss_mb(worker))
    letters = ledger.dead_letters()
    assert len(letters) == 2 * len(BOMBS) * N_BOMBS
    assert {letter.headers["reason"] for letter in letters.values()} == {"decode_error"}
    assert waves[1] < waves[0] + GROWTH_MB
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F27: {len(letters)} bombs dead-lettered, RSS {waves[0]:.0f} MB after one wave, {waves[1]:.0f} MB after two")


def test_giants_are_cut_before_they_are_tokenised_and_their_neighbours_are_judged_as_ever(
    *, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F29: a megabyte that is tokenised whole costs its batch half a second; the tokens say whether it was."""
    (port,) = free_ports(1)
    start_worker(HTTP__PORT=str(port), REDIS__TTL_S="60")
    # The first event waits for the worker's start.
    ledger.send([{"chat_id": "first", "messages": sample_chats[0]["messages"]}])
    ledger.wait_complete()
    by_name = {bad.name: bad for bad in bad_inputs()}
    neighbours = list(short_events(sample_chats, 20, n_chats=20))
    waits: list[float] = []
    tokens: list[float] = []
    decisions: list[dict[str, tuple[Any, ...]]] = []
    for giants in ((), GIANTS):
        before, started = set(ledger.sent), total(port, "moderation_tokens_total")
        # Each time under new ids: what Redis answers costs nothing.
        mark = f"{len(giants)}-"
        ledger.send_raw(InputRecord(b"giant", by_name[name].value) for name in giants)
        ledger.send([event | {"chat_id": mark + event["chat_id"]} for event in neighbours])
        ledger.wait_complete()
        own = {place for place in ledger.sent.keys() - before if (ledger.sent[place].key or b"") != b"giant"}
        waits.append(ledger.longest_pause_s(own))
        tokens.append(total(port, "moderation_tokens_total") - started)
        decisions.append(
            {
                verdict.chat_id.removeprefix(mark): (verdict.category.code, verdict.decision)
                for place, verdict in ledger.verdicts().items()
                if place in own
            }
        )
    assert decisions[0] == decisions[1]
    per_giant = (tokens[1] - tokens[0]) / len(GIANTS)
    # A megabyte is some 300,000 tokens.
    assert per_giant < 10_000
    ledger.assert_exactly_once()
    print(
        f"F29: {per_giant:.0f} tokens a giant; slowest neighbour {waits[0]:.2f} s alone, {waits[1]:.2f} s beside them"
    )


def test_a_chat_that_makes_nine_tenths_of_the_load_holds_up_its_own_partition_only(
    *, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F34: its backlog is worked off in order; the chats of other partitions do not wait for its end."""
    events = list(short_events(sample_chats, 3_000, n_chats=200))
    hot = [event | {"chat_id": "hot"} if i % 10 else event for i, event in enumerate(events)]
    ledger.send(hot)
    start_worker()
    ledger.wait_complete(timeout_s=200)
    ledger.assert_exactly_once()
    hot_partition = {place.partition for place, record in ledger.sent.items() if record.key == b"hot"}
    order = sorted(ledger.seen, key=lambda record: ledger.seen_at_s[Place(*record[:3])])
    is_other = [origin(record, ledger.topics).partition not in hot_partition for record in order]
    n_other = sum(is_other)
    served_when_others_ended = max(itertools.compress(range(len(order)), is_other)) + 1
    n_hot_before = served_when_others_ended - n_other
    n_hot = len(order) - n_other
    assert n_hot_before < n_hot / 2, (
        f"{n_hot_before} of {n_hot} records of the hot partition came before the others' end"
    )
    print(f"F34: {n_other} records of other partitions were done after {n_hot_before} of {n_hot} of the hot one")
