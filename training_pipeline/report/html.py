"""The reports as one HTML file each: styles and plots inside, no script, nothing loaded from anywhere.

The page forbids itself to load anything (Content-Security-Policy), and every text is escaped by the template engine.
"""

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas import CHAT_13, Taxonomy
from training_pipeline.report import plots, tables
from training_pipeline.report.category_report import banned_groups, report_rows
from training_pipeline.report.document import Count, Evaluation, ModelComparison, ModelReport


def evaluation_page(document: Evaluation, probes: Mapping[str, Any] | None = None) -> str:
    """Return the report of one model.

    Args:
        document: Its figures.
        probes: Its probes, as `probe_sections.html.j2` reads them; None leaves them out.
    """
    values = {"document": document, "plots": _model_plots(document), **(probes or {"probes": None})}
    return page("evaluation.html.j2", document.setting.policy["banned"], document.setting.taxonomy, **values)


def comparison_page(document: ModelComparison) -> str:
    """Return the report of several models."""
    models, banned, codes = document.models, document.setting.policy["banned"], document.setting.taxonomy.codes
    attacked = [model for model in models if model.attacks]
    drawn: dict[str, Any] = {"trade_off": plots.trade_off(document.models)} if document.setting.policy["banned"] else {}
    if attacked:
        drawn["attacks"] = plots.attacks(attacked)
    return page(
        "comparison.html.j2",
        document.setting.policy["banned"],
        document.setting.taxonomy,
        document=document,
        plots=drawn,
        category_plots=[
            (
                model.identity.name,
                plots.category_roc(model.category_roc) if model.category_roc else None,
                plots.confusion(model.confusion, codes, banned),
            )
            for model in models
        ],
        category_rows=list(zip(*(report_rows(model) for model in models), strict=True)),
        side_rows=[]
        if (groups := banned_groups(codes, banned)) is None
        else list(zip(*(report_rows(model, groups) for model in models), strict=True)),
    )


def _model_plots(document: Evaluation) -> dict[str, Any]:
    model, banned = document.model, document.setting.policy["banned"]
    codes = document.setting.taxonomy.codes
    drawn: dict[str, Any] = {"confusion": plots.confusion(model.confusion, codes, banned)}
    if model.category_roc:
        drawn["category_roc"] = plots.category_roc(model.category_roc)
    if banned:
        drawn["trade_off"] = plots.trade_off([model])
    if model.roc is not None and model.precision_recall is not None:
        drawn["roc"] = plots.roc(model.roc)
        drawn["precision_recall"] = plots.precision_recall(model.precision_recall)
        drawn["banned_reliability"] = plots.reliability(
            model.banned_reliability, "banned probability", "share that is banned"
        )
    if model.reliability:
        drawn["reliability"] = plots.reliability(model.reliability, "confidence", "share that is right")
    if model.attacks:
        drawn["attacks"] = plots.attacks([model])
    return drawn


def best(models: list[ModelReport], figure: str, *, largest: bool = False) -> float | None:
    """Return the best value of a figure among several models; None for one model alone."""
    values = [value for model in models if (value := model.agreed[figure]) is not None]
    if len(values) < 2:  # noqa: PLR2004  the best of one says nothing
        return None
    return float(max(values) if largest else min(values))


def share_of(rate: float, n_chats: int) -> Count:
    """Return a rounded share of so many chats as a count again."""
    return Count(n=round(rate * n_chats), of=n_chats)


def page(name: str, banned: list[str], taxonomy: Taxonomy = CHAT_13, **values: Any) -> str:
    """Return a template of this package with its values; those of the probes are of chat-13."""
    environment = Environment(
        loader=PackageLoader("training_pipeline.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": tables.percent,
        "n_of": tables.n_of,
        "spread": tables.spread,
        "latency": tables.latency,
        "cost": tables.cost,
        "exact": tables.exact,
        "f1": tables.f1,
        "share_of": share_of,
        "pair": tables.safety_pair,
        "points": tables.points,
    }
    return environment.get_template(name).render(
        banned=banned, names=taxonomy.names, titles=tables.FIGURE_TITLES, best=best, **values
    )
