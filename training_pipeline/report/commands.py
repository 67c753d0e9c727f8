"""Commands `evaluate` and `compare`."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from model import DEFAULT_BUNDLE_PATH, Bundle, Classifier, available_cpus, load_bundle, load_policy, policy_over
from schemas import CHAT_13, Policy, Taxonomy, taxonomy_of
from training_pipeline.options import DataOption, PolicyOption, TaxonomyOption, ThreadsOption

if TYPE_CHECKING:  # numpy, scipy and scikit-learn: seconds that --help does not need
    from training_pipeline.probes.document import ProbeReport
    from training_pipeline.quality.evaluate import OnProgress
    from training_pipeline.report.candidate import Candidate
    from training_pipeline.report.document import Published
    from training_pipeline.report.measure import OnStep

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

OutOption = Annotated[Path | None, typer.Option(help="Write the whole document here, JSON.")]
HtmlOption = Annotated[Path | None, typer.Option(help="Write a report for people here: one HTML file, plots inside.")]
ResamplesOption = Annotated[int, typer.Option("--bootstrap", min=0, help="Resamples of the intervals; 0: none.")]
TimedOption = Annotated[int, typer.Option("--timed-chats", min=0, help="Chats timed one by one; 0: no times.")]
AttacksOption = Annotated[bool, typer.Option("--attacks/--no-attacks", help="Recall on disguised banned chats.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Decides resamples and disguises.")]
ProbesOption = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="Folder of probes to measure bundles on, too.")
]
MaxTokensOption = Annotated[int, typer.Option("--hub-max-tokens", min=8, help="Longest row of a hub model.")]
LabelsOption = Annotated[
    str | None,
    typer.Option("--hub-labels", help="The codes in the order of a hub model's outputs, where it names none."),
]
DownloadOption = Annotated[bool, typer.Option("--allow-download", help="Fetch hub models that are not in the cache.")]


@app.command()
def evaluate(
    *,
    data: DataOption,
    bundle: Annotated[Path | None, typer.Option(help="Bundle folder.", show_default="the shipped bundle")] = None,
    hub_model: Annotated[
        str | None, typer.Option(help="Measure a transformers classifier instead: hub name or folder.")
    ] = None,
    taxonomy: TaxonomyOption = None,
    policy: PolicyOption = None,
    out: OutOption = None,
    html: HtmlOption = None,
    threads: ThreadsOption = 0,
    bootstrap: ResamplesOption = 2_000,
    timed_chats: TimedOption = 200,
    attacks: AttacksOption = True,
    seed: SeedOption = 0,
    probes: ProbesOption = None,
    hub_max_tokens: MaxTokensOption = 512,
    hub_labels: LabelsOption = None,
    allow_download: DownloadOption = False,
) -> None:
    """Measure one model in depth on labelled chats; a bundle through the classes that serve it. Exit codes: 0, 3."""
    from training_pipeline.probes.page import print_probes, sections  # noqa: PLC0415
    from training_pipeline.probes.summary import summary  # noqa: PLC0415
    from training_pipeline.report import html as page  # noqa: PLC0415
    from training_pipeline.report import measure, tables  # noqa: PLC0415

    if bundle is not None and hub_model is not None:
        raise ValueError("found --bundle and --hub-model; expected one of them; `compare` takes any number")
    if hub_model is not None and probes is not None:
        raise ValueError("found --hub-model and --probes; expected a bundle: probes count decisions")
    options = measure.Options(bootstrap, timed_chats, attacks, seed)
    n_threads = threads or available_cpus()
    bundles = [load_bundle(bundle or DEFAULT_BUNDLE_PATH)] if hub_model is None else []
    categories, chosen = categories_and_policy(bundles, taxonomy, policy)
    hub = _Hub(categories, n_threads, hub_max_tokens, hub_labels, allow_download)
    candidate = hub.candidate(hub_model) if hub_model is not None else bundle_candidate(bundles[0], chosen, n_threads)
    with _steps() as on_step:
        document = measure.evaluation(candidate, measure.read_test_set(data, categories, chosen, options), on_step)
        probed = (
            None if probes is None else _probed(bundle, probes, chosen, n_threads=n_threads, seed=seed, on_step=on_step)
        )
    tables.print_evaluation(document, Console())
    whole = {"setting": document.setting.model_dump(mode="json"), **document.model.model_dump(mode="json")}
    if probed is not None:
        print_probes(probed, Console())
        whole["probes"] = probed.model_dump(mode="json")
        whole["probe_summary"] = summary(probed).model_dump(mode="json")
    _write(out, {"format_version": document.format_version, **whole})
    if html is not None:
        extra = None if probed is None else {"probes": probed, **sections(probed)}
        html.write_text(page.evaluation_page(document, extra), encoding="utf-8")
    short = {"setting": whole["setting"], **tables.short(document.model), "all": document.model.all}
    if probed is not None:
        short["probes"] = probed.short()
        short["probe_summary"] = whole["probe_summary"]
    typer.echo(orjson.dumps(short).decode())


@app.command()
def compare(
    *,
    data: DataOption,
    bundle: Annotated[list[Path] | None, typer.Option(help="Bundle folder; may be repeated.")] = None,
    hub_model: Annotated[
        list[str] | None, typer.Option(help="Transformers classifier, hub name or folder; may be repeated.")
    ] = None,
    llm: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="LLM endpoints: an annotators file, as of `label`."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="This LLM of the file only; may be repeated.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Folder of the LLMs' answers; what is there is not asked again.")
    ] = None,
    max_cost_usd: Annotated[float | None, typer.Option(min=0.0, help="Stop an LLM's run at this cost.")] = None,
    price: Annotated[
        list[str] | None,
        typer.Option(help="name=USD per million tokens, the name as in the table; may be repeated."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published/--no-published", help="Show the published reference, under its own heading.")
    ] = False,
    taxonomy: TaxonomyOption = None,
    policy: PolicyOption = None,
    out: OutOption = None,
    html: HtmlOption = None,
    threads: ThreadsOption = 0,
    bootstrap: ResamplesOption = 2_000,
    timed_chats: TimedOption = 200,
    attacks: AttacksOption = True,
    seed: SeedOption = 0,
    probes: ProbesOption = None,
    hub_max_tokens: MaxTokensOption = 512,
    hub_labels: LabelsOption = None,
    allow_download: DownloadOption = False,
) -> None:
    """Measure models side by side on the same chats; the first one named (bundle, hub, LLM) is the baseline.

    Without --bundle, --hub-model and --llm the shipped bundle stands alone. Exit codes: 0, 3.
    """
    from training_pipeline.probes.summary import summary  # noqa: PLC0415
    from training_pipeline.report import html as page  # noqa: PLC0415
    from training_pipeline.report import measure, tables  # noqa: PLC0415
    from training_pipeline.report.category_report import category_report  # noqa: PLC0415

    prices, n_threads = _prices(price or []), threads or available_cpus()
    options = measure.Options(bootstrap, timed_chats, attacks, seed, prices)
    if not (bundle or hub_model or llm):
        bundle = [DEFAULT_BUNDLE_PATH]
    if probes is not None and not bundle:
        raise ValueError("found --probes without --bundle; expected a bundle: probes count decisions")
    bundles = [load_bundle(path) for path in bundle or []]
    categories, chosen = categories_and_policy(bundles, taxonomy, policy)
    candidates: list[Candidate] = [bundle_candidate(one, chosen, n_threads) for one in bundles]
    hub = _Hub(categories, n_threads, hub_max_tokens, hub_labels, allow_download)
    candidates += [hub.candidate(name) for name in hub_model or []]
    candidates += llm_candidates(llm, only or [], answers, max_cost_usd)
    check_names(candidates, prices)
    with _steps() as on_step:
        test_set = measure.read_test_set(data, categories, chosen, options)
        document = measure.comparison(candidates, test_set, on_step, _published_figures() if published else None)
        if probes is not None:
            reports = [
                _probed(path, probes, chosen, n_threads=n_threads, seed=seed, on_step=on_step) for path in bundle or []
            ]
            document = document.model_copy(update={"probes": [summary(report) for report in reports]})
    tables.print_comparison(document, Console(width=None if Console().is_terminal else 200))
    typer.echo(category_report(document.models, document.setting.policy["banned"]))
    whole = document.model_dump(mode="json")
    _write(out, whole)
    if html is not None:
        html.write_text(page.comparison_page(document), encoding="utf-8")
    last = {"setting": whole["setting"], "models": [tables.short(m) for m in document.models]}
    typer.echo(orjson.dumps({**last, "differences": whole["differences"], "probes": whole["probes"]}).decode())


def categories_and_policy(bundles: Sequence[Bundle], named: str | None, policy: Path | None) -> tuple[Taxonomy, Policy]:
    """Return the categories and the policy of a measurement: those of its bundles, or the named ones.

    Raises:
        ValueError: two bundles, or a bundle and --taxonomy, have other categories.
        PolicyError: the policy is refused.
    """
    found = [bundle.taxonomy for bundle in bundles] + ([] if named is None else [taxonomy_of(named)])
    if any(one.codes != found[0].codes for one in found):
        listed = "; ".join(f"{one.ref}: {', '.join(one.codes)}" for one in found)
        raise ValueError(f"the models have other categories ({listed}); expected the same ones: compare them apart")
    taxonomy = found[0] if found else CHAT_13
    return taxonomy, load_policy(policy, bundles[0]) if bundles else policy_over(taxonomy, policy)


def bundle_candidate(bundle: Bundle, policy: Policy, n_threads: int) -> "Candidate":
    """Return a bundle as the worker would serve it under a policy."""
    from training_pipeline.report.candidate import BundleCandidate  # noqa: PLC0415

    return BundleCandidate(Classifier(bundle, policy, n_threads=n_threads), n_threads=n_threads)


def _probed(
    path: Path | None, folder: Path, policy: Policy, *, n_threads: int, seed: int, on_step: "OnStep"
) -> "ProbeReport":
    from training_pipeline.probes.measure import measure_folder  # noqa: PLC0415

    loaded = load_bundle(path or DEFAULT_BUNDLE_PATH)
    classifier = Classifier(loaded, policy, n_threads=n_threads)
    on_progress = on_step(f"{loaded.ref.name} {loaded.ref.version}", "probes")
    return measure_folder(classifier, folder, seed=seed, on_progress=on_progress)


@dataclass(frozen=True)
class _Hub:
    """How hub models are loaded."""

    taxonomy: Taxonomy
    n_threads: int
    max_tokens: int
    labels: str | None
    download: bool

    def candidate(self, source: str) -> "Candidate":
        """Load one."""
        from training_pipeline.report.hub_model import HubModel, parse_label_order  # noqa: PLC0415  (torch)

        return HubModel(
            source,
            taxonomy=self.taxonomy,
            n_threads=self.n_threads,
            max_tokens=self.max_tokens,
            allow_download=self.download,
            label_order=None if self.labels is None else parse_label_order(self.labels, self.taxonomy),
        )


def llm_candidates(
    file: Path | None, only: Sequence[str], answers: Path | None, max_cost_usd: float | None
) -> "list[Candidate]":
    """Return the LLM endpoints of a file; none without one.

    Raises:
        ValueError: there is no folder for answers, no such annotator, or its key is not set.
    """
    from training_pipeline.data import show  # noqa: PLC0415
    from training_pipeline.data.annotator_config import read_annotators  # noqa: PLC0415
    from training_pipeline.report.llm_endpoint import LlmEndpoint  # noqa: PLC0415

    if file is None:
        return []
    if answers is None:
        raise ValueError("--llm without --answers; expected a folder for the answers, so that none is paid twice")
    annotators = show.chosen_annotators(read_annotators(file), only)
    keys = show.keys_from_environment(annotators, os.environ)
    return [LlmEndpoint(a, keys[a.name], answers, max_cost_usd=max_cost_usd) for a in annotators]


def _prices(texts: Sequence[str]) -> dict[str, float]:
    prices = {}
    for text in texts:
        name, _, number = text.rpartition("=")
        try:
            prices[name] = float(number)
        except ValueError:
            prices[name] = -1.0
        if not name or not 0 <= prices[name] < math.inf:
            raise ValueError(f"--price: found {text!r}; expected name=USD per million tokens, such as gpt-oss-120b=0.6")
    return prices


def check_names(candidates: "Sequence[Candidate]", prices: Mapping[str, float]) -> None:
    """Refuse two models of one name, and prices of unknown ones.

    Raises:
        ValueError: names both.
    """
    names = [candidate.identity.name for candidate in candidates]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"two models are called {', '.join(twice)}; expected names that differ: give a bundle another version, an "
            "LLM another name in its file"
        )
    if unknown := sorted(prices.keys() - set(names)):
        raise ValueError(f"--price: no model is called {', '.join(unknown)}; expected some of {', '.join(names)}")


def _write(out: Path | None, document: dict[str, Any]) -> None:
    if out is not None:
        out.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


@contextmanager
def _steps() -> "Iterator[OnStep]":
    """Yield what a measurement tells its progress to; the bars vanish when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def on_step(name: str, step: str) -> "OnProgress":
            for earlier in bars.task_ids:
                bars.remove_task(earlier)
            task = bars.add_task(f"{name}: {step}", total=None)
            return lambda n_done: bars.update(task, completed=n_done)

        yield on_step


def _published_figures() -> "Published":
    """Return figures that others published, measured on another test set; shown beside ours under their own heading."""
    from training_pipeline.report.document import Published  # noqa: PLC0415

    return Published.model_validate_json(files("training_pipeline.report").joinpath("published.json").read_bytes())
