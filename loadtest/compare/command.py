"""The command `compare`, and the sessions that it starts as processes of their own."""

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.compare.baseline_session import BaselineSession
from loadtest.compare.compare import Others, PairedRuns, Plan
from loadtest.compare.padded_session import PaddedModel, PaddedSession
from loadtest.compare.peer_environment import peer_python, versions
from loadtest.compare.peer_run import PEERS, PeerSetup
from loadtest.compare.quality import manifest_quality, measured_quality
from loadtest.compare.reference_model import reference_model
from loadtest.compare.tables import cost_rows, peer_rows, rate_rows, target_rows
from loadtest.compare.targets import judged
from loadtest.options import (
    BootstrapOption,
    EventsOption,
    OtherCpusOption,
    PartitionsOption,
    RedisOption,
    WorkerCpusOption,
)
from loadtest.placement import Placement
from loadtest.report import report
from loadtest.services import services


@dataclass(frozen=True)
class _Size:
    n_pairs: int
    n_judged_chats: int
    n_padded_chats: int
    n_hit_events: int
    n_lone: int
    half_load_s: float


_FULL: Final = _Size(7, 2_000, 40, 20_000, 200, 60.0)
_QUICK: Final = _Size(3, 800, 16, 10_000, 50, 20.0)

_DEFAULT_BUNDLE: Final = Path(__file__).parents[2] / "model" / "bundles" / "default"

ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="Inference threads; 0 takes one per usable CPU.")]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="Bundle folder.", show_default="MODERATION_MODEL__PATH, else the shipped bundle"),
]
PaddedTokensOption = Annotated[int, typer.Option(min=1, help="Padded tokens of one inference of the baseline session.")]
RowsOption = Annotated[int, typer.Option(min=1, help="Rows of one inference of the baseline session.")]
TextsOption = Annotated[Path, typer.Option(help="JSON lines of `python -m model render`.")]


def compare(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer pairs and chats: under ten minutes on two CPUs.")
    ] = False,
    pairs: Annotated[
        int | None, typer.Option(min=1, help="Interleaved repetitions.", show_default="7; quick: 3")
    ] = None,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats, at most.")] = 2_000,
    judged_chats: Annotated[
        int | None,
        typer.Option(min=1, help="Of those, chats of a timed run without a cache.", show_default="all; quick: 800"),
    ] = None,
    padded_chats: Annotated[
        int | None, typer.Option(min=1, help="Of those, chats of a padded session.", show_default="40; quick: 16")
    ] = None,
    hit_events: Annotated[
        int | None, typer.Option(min=1, help="Events of a cached timed run.", show_default="20,000; quick: 10,000")
    ] = None,
    lone: Annotated[
        int | None, typer.Option(min=1, help="Lone events at the end.", show_default="200; quick: 50")
    ] = None,
    half_load_s: Annotated[
        float | None, typer.Option(min=0.1, help="Length of the load at half rate, s.", show_default="60; quick: 20")
    ] = None,
    others: Annotated[
        bool,
        typer.Option("--others/--no-others", help="The reference path and the peers, in an environment made for them."),
    ] = True,
    quality_data: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Labelled chats to measure accuracy on, not the manifest's."),
    ] = None,
    threads: ThreadsOption = 0,
    max_padded_tokens: PaddedTokensOption = 512,
    max_rows: RowsOption = 64,
    bundle: BundleOption = None,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
    worker_cpus: WorkerCpusOption = None,
    other_cpus: OtherCpusOption = None,
) -> None:
    """Compare the worker with its limits, the reference path and peers: same chats, interleaved pairs."""
    size = _QUICK if quick else _FULL
    placement = Placement.of(worker_cpus, other_cpus)
    plan = Plan(
        bundle=_chosen_bundle(bundle),
        n_pairs=pairs or size.n_pairs,
        n_judged_chats=judged_chats or size.n_judged_chats,
        n_padded_chats=padded_chats or size.n_padded_chats,
        n_hit_events=hit_events or size.n_hit_events,
        n_lone=lone or size.n_lone,
        half_load_s=half_load_s or size.half_load_s,
        n_threads=threads or placement.n_worker_cpus,
        n_partitions=partitions,
        max_padded_tokens=max_padded_tokens,
        max_rows=max_rows,
    )
    os.environ["MODERATION_MODEL__PATH"] = str(plan.bundle)
    os.environ["MODERATION_MODEL__N_THREADS"] = str(plan.n_threads)
    pool = ChatPool.read(events, new_run_id(), limit=chats)
    quality = (
        manifest_quality(plan.bundle)
        if quality_data is None
        else measured_quality(plan.bundle, quality_data, n_threads=plan.n_threads)
    )
    beside = _others(plan) if others else None
    facts = report.machine()
    with services(bootstrap_servers, redis_url, placement=placement) as addresses:
        result = PairedRuns(addresses, pool, plan, beside, say=_say).run()
    _print({**result, **quality, "machine": facts, "onnxruntime": version("onnxruntime")})


def padded_session(
    *,
    texts: TextsOption,
    model: Annotated[Path, typer.Option(help="ONNX model: input_ids and attention_mask to logits.")],
    tokenizer: Annotated[Path, typer.Option(help="Its tokenizer.json.")],
    tokens: Annotated[int, typer.Option(min=1, help="Tokens to which every chat is padded.")],
    threads: ThreadsOption = 0,
) -> None:
    """Time a model over padded texts, one at a time; `compare` starts it. Prints one JSON line."""
    session = PaddedSession(PaddedModel(model, tokenizer, tokens), n_threads=_chosen_threads(threads))
    report.print_json_line(session.measure(_read_texts(texts)))


def baseline_session(
    *,
    texts: TextsOption,
    bundle: BundleOption = None,
    threads: ThreadsOption = 0,
    max_padded_tokens: PaddedTokensOption = 512,
    max_rows: RowsOption = 64,
) -> None:
    """Time tokenizer and ONNX session alone over rendered texts; `compare` starts it. Prints one JSON line."""
    session = BaselineSession(_chosen_bundle(bundle), n_threads=_chosen_threads(threads))
    report.print_json_line(session.measure(_read_texts(texts), max_padded_tokens=max_padded_tokens, max_rows=max_rows))


def _others(plan: Plan) -> Others:
    _say("the environment of reference and peers: made on the first call, 410 MB on disk")
    python = peer_python()
    installed = versions(python)
    return Others(
        reference=reference_model(python),
        peers=[peer for peer in PEERS if peer.distribution in installed],
        setup=PeerSetup(python, plan.bundle, plan.n_threads, plan.n_partitions),
        versions=installed,
    )


def _print(result: dict[str, Any]) -> None:
    report.print_table("worker against its targets", target_rows(result))
    report.print_table("rates", rate_rows(result))
    report.print_table("where the worker's time goes, cache off", cost_rows(result))
    if result["peers"]:
        report.print_table("peers: the same bundle and chats on other stream processors", peer_rows(result))
    report.print_json_line({**result, "targets": judged(result)})


def _read_texts(path: Path) -> list[str]:
    return [orjson.loads(line)["text"] for line in path.read_bytes().splitlines()]


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _chosen_bundle(named: Path | None) -> Path:
    """Return the named bundle folder, or the worker's, absolute."""
    return (named or Path(os.environ.get("MODERATION_MODEL__PATH", _DEFAULT_BUNDLE))).resolve()


def _chosen_threads(named: int) -> int:
    """Return the named number of threads, or one per usable CPU."""
    return named or len(os.sched_getaffinity(0))
