"""Plots of the reports as inline SVG: text stays text, nothing is loaded, equal input gives equal bytes."""

from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator

from loadtest.run.worker_metrics import REST, STAGES

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#5B5B5B", "#B8A800")
"""Okabe and Ito's palette, which people with any colour vision can tell apart."""

_INK: Final = "#1f2933"
_FAINT: Final = "#9aa5b1"
_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "verdictstream",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
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
_PERCENTS: Final = (50.0, 90.0, 99.0, 99.9, 99.99)
_FEW_TIMES: Final = 12.0

Timeline = Mapping[str, Sequence[float | None]]
"""Columns of `loadtest.run.timeline.timeline`."""
Burst = tuple[float, float] | None


def _svg(draw: Callable[[Axes], None], *, width: float = 6.4, height: float = 2.9) -> Markup:
    """Return a drawing, width and height in inches of 72 points."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        draw(figure.add_subplot())
        target = StringIO()
        figure.savefig(target, format="svg", metadata=_NO_METADATA, transparent=True)
    text = target.getvalue()
    # matplotlib escapes what it writes; the prolog before the element names a DTD's address.
    return Markup(text[text.index("<svg") :])  # noqa: S704


def rates(timeline: Timeline, burst: Burst) -> Markup:
    """Return events sent and answered in each second."""

    def draw(axes: Axes) -> None:
        edges = np.append(_numbers(timeline["second"]), len(timeline["second"]))
        for name, colour, style in (("sent", COLOURS[1], "--"), ("answered", COLOURS[0], "-")):
            axes.stairs(_numbers(timeline[name]), edges, color=colour, ls=style, lw=1.5, label=name)
        axes.set(ylabel="chats/s", ylim=(0, None))
        _over_time(axes, burst)
        axes.legend(loc="best", fontsize=8)

    return _svg(draw)


def latency_over_time(timeline: Timeline, burst: Burst, limit_ms: float | None) -> Markup:
    """Return p50 and p99 of the events due in each second; the axis is logarithmic."""

    def draw(axes: Axes) -> None:
        at_s = _numbers(timeline["second"]) + 0.5
        for name, colour in (("p99_ms", COLOURS[1]), ("p50_ms", COLOURS[0])):
            axes.plot(
                at_s, _numbers(timeline[name]), "o-", ms=2.5, lw=1.3, color=colour, label=name.removesuffix("_ms")
            )
        if limit_ms is not None:
            axes.axhline(limit_ms, color=_FAINT, lw=1, ls=":", label=f"{limit_ms:g} ms")
        _logarithmic(axes, "latency, ms")
        _over_time(axes, burst)
        axes.legend(loc="best", fontsize=8)

    return _svg(draw)


def percentiles(curve_ms: Sequence[Sequence[float]]) -> Markup:
    """Return latency by percentile; towards the right each tenth of what is left takes the same room."""

    def draw(axes: Axes) -> None:
        percent, latency = np.array([one for one in curve_ms if one[0] <= _PERCENTS[-1]]).T
        axes.plot(1 / (1 - percent / 100), latency, color=COLOURS[0], lw=1.8)
        axes.set(
            xscale="log", ylabel="latency, ms", xlabel="share of the chats that were at most so late", ylim=(0, None)
        )
        axes.xaxis.set_major_locator(FixedLocator([1 / (1 - one / 100) for one in _PERCENTS]))
        axes.xaxis.set_major_formatter(FixedFormatter([f"{one:g} %" for one in _PERCENTS]))
        axes.xaxis.set_minor_locator(NullLocator())

    return _svg(draw)


def line_over_time(timeline: Timeline, name: str, label: str, burst: Burst) -> Markup:
    """Return one column of the timeline as a filled line from 0 up."""

    def draw(axes: Axes) -> None:
        at_s, values = _numbers(timeline["second"]) + 1, _numbers(timeline[name])
        axes.plot(at_s, values, color=COLOURS[0], lw=1.5)
        axes.fill_between(at_s, values, color=COLOURS[0], alpha=0.1)
        axes.set(ylabel=label, ylim=(0, None))
        _over_time(axes, burst)

    return _svg(draw)


def stages(spent_ms: Mapping[str, float]) -> Markup:
    """Return how long the average chat was in each stage."""
    named = [stage for stage in (*STAGES, REST) if stage in spent_ms]

    def draw(axes: Axes) -> None:
        values = [spent_ms[stage] for stage in named]
        axes.barh(named, values, color=[_FAINT if stage == REST else COLOURS[0] for stage in named], height=0.7)
        for place, value in enumerate(values):
            axes.text(value, place, f" {value:,.2f}", va="center", fontsize=8)
        axes.set(xlabel="ms of the average chat's latency", xlim=(0, 1.15 * max(*values, 0.01)))
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")

    return _svg(draw, height=3.3)


def memory(minutes: Sequence[float], rss_mb: Sequence[float], limit_mb: float) -> Markup:
    """Return a worker's memory over a soak."""

    def draw(axes: Axes) -> None:
        axes.plot(minutes, rss_mb, color=COLOURS[0], lw=1.5)
        axes.axhline(limit_mb, color=_FAINT, lw=1, ls=":")
        axes.text(0, limit_mb, f"{limit_mb:g} MB ", va="bottom", fontsize=8)
        axes.set(ylabel="RSS, MB", xlabel="minutes", ylim=(0, 1.1 * max(limit_mb, *rss_mb)), xlim=(0, None))

    return _svg(draw, width=8.0)


def trials(searches: Mapping[str, Sequence[tuple[float, float]]], limit_ms: float) -> Markup:
    """Return p99 against rate for every trial of a sweep, (chats/s, ms) by configuration."""

    def draw(axes: Axes) -> None:
        for i, (name, points) in enumerate(searches.items()):
            rate, p99 = np.array(sorted(points)).T
            axes.plot(rate, p99, "o-", ms=3.5, lw=1.2, color=COLOURS[i % len(COLOURS)], label=name)
        axes.axhline(limit_ms, color=_FAINT, lw=1, ls=":")
        axes.set(xlabel="chats/s")
        _logarithmic(axes, "p99, ms")
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize=8)

    return _svg(draw, width=8.0, height=3.6 + 0.12 * len(searches))


def _logarithmic(axes: Axes, label: str) -> None:
    """Give the y axis plain numbers; those between the powers of ten only where there is room for them."""
    axes.set(ylabel=label, yscale="log")
    low, high = axes.get_ylim()
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(plain if high / low < _FEW_TIMES else NullFormatter())


def _over_time(axes: Axes, burst: Burst) -> None:
    axes.set(xlabel="seconds after the start", xlim=(0, None))
    if burst is not None:
        axes.axvspan(*burst, color=COLOURS[5], alpha=0.15, lw=0)


def _numbers(values: Sequence[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
