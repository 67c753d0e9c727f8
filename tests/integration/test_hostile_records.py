"""Records that are small in the topic and large in memory, through a real worker."""

from deploy.local import LocalStack
from loadtest.hostile.hostile import LIMIT_MB, run_hostile
from loadtest.hostile.records import KINDS
from loadtest.services import Services

N_RECORDS = 30


def test_hostile_records_neither_fill_the_memory_nor_end_without_an_outcome(stack: LocalStack) -> None:
    """24 events of 2 MB in 50 kB of topic took 1.7 GB: a worker killed at each start, and a partition that stood still.

    `python -m loadtest hostile` prints the figures: of a running worker, and of one that finds them at its start.
    """
    result = run_hostile(Services(stack.bootstrap_servers, stack.redis_url), n_records=N_RECORDS)
    judged = {"9,900 messages of a letter", *(kind.name for kind in KINDS if kind.name.startswith("text"))}
    assert {one["kind"]: one["outcomes"] for one in result["kinds"]} == {
        kind.name: {"verdict" if kind.name in judged else "too_large": N_RECORDS} for kind in KINDS
    }
    n_judged = len(judged) * N_RECORDS
    assert result["after_start"]["outcomes"] == {"verdict": n_judged, "too_large": len(KINDS) * N_RECORDS - n_judged}
    above_mb = {one["kind"]: one["above_ready_mb"] for one in result["kinds"]}
    assert max(above_mb.values()) <= LIMIT_MB, above_mb
    assert result["after_start"]["above_ready_mb"] <= LIMIT_MB
