"""Plots of the reports as inline SVG: text stays text, nothing is loaded, equal input gives equal bytes."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from training_pipeline.report.document import Curve, ModelReport, ReliabilityBin

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B", "#B8A800")
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

_INK: Final = "#1f2933"
_FAINT: Final = "#9aa5b1"

_DARK_ALPHA: Final = 0.55
"""Fill from which text is white."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "verdictstream",
    "text.parse_math": False,  # a model's name may hold a dollar sign
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.titlesize": 10,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}

_NO_METADATA: Final = dict.fromkeys(("Date", "Creator", "Format", "Type"))

Draw = Callable[[Axes], None]


def _svg(draw: Draw, *, width: float = 4.6, height: float = 3.7) -> Markup:
    """Return a drawing, width and height in inches of 72 points."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        draw(figure.add_subplot())
        target = StringIO()
        figure.savefig(target, format="svg", metadata=_NO_METADATA, transparent=True)
    text = target.getvalue()
    # matplotlib escapes what it writes; the prolog before the element names a DTD's address.
    return Markup(text[text.index("<svg") :])  # noqa: S704


def trade_off(models: Sequence[ModelReport], *, limit: float = 0.25) -> Markup:
    """Return the safety pair of all models: both errors, along the threshold and where each model decides by itself."""

    def draw(axes: Axes) -> None:
        reached = limit
        for model, colour in zip(models, _colours(len(models)), strict=True):
            if model.roc is not None:
                lost, caught = np.array(model.roc.points).T
                axes.plot(lost, 1 - caught, color=colour, linewidth=1.6, drawstyle="steps-post")
            pair = [model.intervals[name] for name in ("safe_to_banned_rate", "banned_to_safe_rate")]
            reached = max(reached, *(1.1 * (figure.high or figure.value) for figure in pair))
            bounds = [
                [[max(f.value - (f.value if f.low is None else f.low), 0)], [max((f.high or f.value) - f.value, 0)]]
                for f in pair
            ]
            style: dict[str, Any] = {"fmt": "o", "color": colour, "markersize": 6, "elinewidth": 1, "capsize": 2}
            axes.errorbar(
                pair[0].value, pair[1].value, xerr=bounds[0], yerr=bounds[1], label=model.identity.name, **style
            )
        end = min(reached, 1.0)
        axes.set(xlim=(-0.02 * end, 1.02 * end), ylim=(-0.02 * end, 1.02 * end))  # a point on the edge shows as a whole
        _percent_axes(axes, "safe → banned (lost revenue)", "banned → safe (brand damage)")
        if len(models) > 1:
            axes.legend(loc="upper right", fontsize=8)

    return _svg(draw, width=4.6 if len(models) == 1 else 5.4, height=3.7 if len(models) == 1 else 4.2)


def roc(curve: Curve) -> Markup:
    """Return the ROC curve of the banned probability."""

    def draw(axes: Axes) -> None:
        x, y = np.array(curve.points).T
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, linestyle="--")
        axes.plot(x, y, color=COLOURS[0], linewidth=1.8)
        axes.fill_between(x, y, color=COLOURS[0], alpha=0.08)
        axes.text(0.97, 0.06, f"area {curve.area:.3f}", ha="right", fontsize=11, transform=axes.transAxes)
        _percent_axes(axes, "safe chats lost", "banned chats caught")

    return _svg(draw)


def category_roc(curves: Mapping[str, Curve]) -> Markup:
    """Return the ROC curve of each category against all others."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, linestyle="--")
        for (code, curve), colour in zip(curves.items(), _colours(len(curves)), strict=True):
            x, y = np.array(curve.points).T
            axes.plot(x, y, color=colour, linewidth=1.6, label=f"{code}, area {curve.area:.3f}")
        axes.legend(loc="lower right", fontsize=8)
        _percent_axes(axes, "chats of other categories", "chats of the category")

    return _svg(draw)


def precision_recall(curve: Curve) -> Markup:
    """Return precision against recall of the banned probability."""

    def draw(axes: Axes) -> None:
        x, y = np.array(curve.points).T
        axes.plot(x, y, color=COLOURS[0], linewidth=1.8)
        axes.fill_between(x, y, color=COLOURS[0], alpha=0.08)
        axes.text(0.05, 0.06, f"average precision {curve.area:.3f}", fontsize=11, transform=axes.transAxes)
        axes.set(xlim=(0, 1), ylim=(0, 1.02))
        _percent_axes(axes, "banned chats caught", "caught chats that are banned")

    return _svg(draw)


def reliability(bins: Sequence[ReliabilityBin], stated: str, true: str) -> Markup:
    """Return a reliability diagram; the area of a point is the number of its chats."""

    def draw(axes: Axes) -> None:
        n_chats = np.array([one.n_chats for one in bins])
        x, y = [one.mean_probability for one in bins], [one.share_true for one in bins]
        axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, linestyle="--")
        axes.plot(x, y, color=COLOURS[0], linewidth=1.2, alpha=0.5)
        axes.scatter(x, y, s=14 + 260 * n_chats / n_chats.max(), color=COLOURS[0], alpha=0.75, linewidths=0, zorder=3)
        axes.text(0.98, 0.03, "dashed: perfectly calibrated", ha="right", fontsize=8, transform=axes.transAxes)
        axes.set(xlim=(-0.03, 1.04), ylim=(-0.04, 1.06))
        _percent_axes(axes, stated, true)

    return _svg(draw)


def confusion(table: Sequence[Sequence[int]], codes: Sequence[str], banned: Sequence[str]) -> Markup:
    """Return the confusion matrix; errors between banned and safe in another colour."""
    counts = np.array(table)
    if not counts[:, -1].any():
        counts = counts[:, :-1]
    columns = [*codes, "none"][: counts.shape[1]]

    def draw(axes: Axes) -> None:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for row, true in enumerate(codes):
            for column, named in enumerate(columns):
                if not counts[row, column]:
                    continue
                crosses = named == "none" or (true in banned) != (named in banned)
                colour = COLOURS[1] if crosses else COLOURS[2] if true == named else COLOURS[0]
                strength = 0.12 + 0.83 * shares[row, column]
                axes.fill_between(
                    [column - 0.5, column + 0.5], row - 0.5, row + 0.5, color=colour, alpha=strength, lw=0
                )
                ink = "white" if strength > _DARK_ALPHA else _INK
                axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8, color=ink)
        axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(codes) - 0.5, -0.5), xlabel="named", ylabel="true")
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(codes)), [f"{code} ●" if code in banned else code for code in codes])
        axes.grid(visible=False)

    size = max(5.0, 0.25 * len(codes))
    return _svg(draw, width=size + 0.6, height=size)


def attacks(models: Sequence[ModelReport]) -> Markup:
    """Return recall on banned chats by disguise, models side by side."""
    kinds = [attack.kind for attack in models[0].attacks]
    height = 0.8 / len(models)

    def draw(axes: Axes) -> None:
        places = np.arange(len(kinds), dtype=float)
        for i, (model, colour) in enumerate(zip(models, _colours(len(models)), strict=True)):
            rates = [attack.recalled.rate for attack in model.attacks]
            spots = places + (i - (len(models) - 1) / 2) * height
            axes.barh(spots, rates, height * 0.92, color=colour, label=model.identity.name)
            for spot, rate in zip(spots, rates, strict=True):
                axes.text(rate + 0.01, spot, f"{100 * rate:.0f} %", va="center", fontsize=8)
        axes.set_yticks(places, [kind.replace("_", " ") for kind in kinds])
        axes.set(xlim=(0, 1.1), xlabel="banned chats still called banned")
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        if len(models) > 1:
            axes.figure.legend(loc="outside lower center", ncols=2, fontsize=8)

    return _svg(draw, width=6.4, height=1.2 + 0.28 * len(kinds) * max(1, 0.7 * len(models)))


def _percent_axes(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _colours(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]
