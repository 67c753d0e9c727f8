"""Results of `sweep` to a table with one row per setting. Pure."""

from typing import Any, Final, NamedTuple

_COLUMNS: Final = (
    "setting",
    "chats/s",
    "p99 ms",
    "limit",
    "cores used",
    "RSS MB",
    "chats/s per vCPU",
    "per million",
    "replicas",
    "partitions",
    "per hour",
)
_NAMES: Final = {
    "n_workers": "workers",
    "n_threads": "threads",
    "batch_records": "batch",
    "padded_tokens": "tokens",
    "thin_s": "thin s",
}


class Rows(NamedTuple):
    """A table."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def setting_name(setting: dict[str, Any]) -> str:
    """Return a setting in words; what is left at its default is left out."""
    return ", ".join(f"{_NAMES[name]} {value:g}" for name, value in setting.items() if value is not None)


def sizing_table(result: dict[str, Any]) -> Rows:
    """Return the sizing table of `sweep`; settings under which no rate holds say so."""
    rows = []
    for one in result["settings"]:
        name = setting_name(one["setting"])
        if one["rate_per_s"] is None:
            rows.append((name, "none holds", "", one["limit"], *[""] * (len(_COLUMNS) - 4)))
            continue
        sizing = one["sizing"]
        rows.append(
            (
                name,
                f"{one['rate_per_s']:,.1f}",
                f"{one['p99_ms']:,.1f}",
                one["limit"],
                f"{one['worker_cpu_cores']:.2f}",
                f"{one['worker_rss_mb']:.0f}",
                f"{sizing['chats_per_s_per_vcpu']:,.1f}",
                f"{sizing['cost_per_million']:,.3f}",
                f"{sizing['replicas']}",
                f"{sizing['n_partitions']}",
                f"{sizing['cost_per_hour']:,.3f}",
            )
        )
    return Rows(_COLUMNS, rows)
