"""Energy and emissions of training, measured by codecarbon without the network.

The power of the CPU is read where the machine tells it (RAPL), else taken from the processor's rating and its load; a
GPU's is read from its driver. The country's power mix comes with the package. Nothing here decides a run, so it is no
part of its configuration.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field

EMISSIONS_NAME: Final = "emissions.jsonl"

_SAMPLE_S: Final = 5
"""Between two readings of the power; the last one is taken when training ends."""


class Emissions(BaseModel):
    """One session of training; an interrupted run has several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duration_s: float = Field(ge=0)
    energy_kwh: float = Field(ge=0, description="Of CPU, GPU and memory.")
    emissions_kg_co2eq: float = Field(ge=0)
    country: str = Field(description="ISO 3166 code, three letters: whose power mix counts.")
    cpu: str | None
    gpu: str | None
    tool: str


@contextmanager
def measured_emissions(run: Path, country: str) -> Iterator[None]:
    """Measure while the block runs; add a line to the run's `emissions.jsonl` however it ends.

    Args:
        run: The run's folder.
        country: Three-letter ISO code, such as DEU.

    Raises:
        ValueError: codecarbon knows no power mix of this country, or measures nothing here.
    """
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415  (seconds of import that others must not wait for)

    # It says at start-up what it was told, before it reads its log level.
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    _require_known(country)
    meter = OfflineEmissionsTracker(
        country_iso_code=country,
        measure_power_secs=_SAMPLE_S,
        output_methods=[],
        allow_multiple_runs=True,
        log_level=logging.ERROR,
    )
    meter.start()
    # Its own faults are logged and never raised; this is how one shows before hours of training.
    if meter.flush() is None:
        raise ValueError("--emissions: codecarbon measures nothing on this machine; train without it, or see its log")
    try:
        yield
    finally:
        meter.stop()
        found = _found(meter.final_emissions_data)
        run.mkdir(parents=True, exist_ok=True)
        with (run / EMISSIONS_NAME).open("ab") as lines:
            lines.write(found.model_dump_json().encode() + b"\n")


def read_emissions(run: Path) -> list[Emissions]:
    """Return the sessions of a run that were measured; empty where none was."""
    path = run / EMISSIONS_NAME
    if not path.exists():
        return []
    return [Emissions.model_validate(orjson.loads(line)) for line in path.read_bytes().splitlines()]


def emissions_summary(run: Path) -> dict[str, Any]:
    """Return what all measured sessions of a run took together; empty where none was."""
    sessions = read_emissions(run)
    if not sessions:
        return {}
    return {
        "emissions": {
            "n_sessions": len(sessions),
            "duration_s": round(sum(session.duration_s for session in sessions), 1),
            "energy_kwh": sum(session.energy_kwh for session in sessions),
            "emissions_kg_co2eq": sum(session.emissions_kg_co2eq for session in sessions),
            "country": sorted({session.country for session in sessions}),
            "tool": sorted({session.tool for session in sessions}),
        }
    }


def _require_known(country: str) -> None:
    from codecarbon.input import DataSource  # noqa: PLC0415  (the same)

    known = DataSource().get_global_energy_mix_data()
    if country not in known:
        raise ValueError(
            f"--emissions {country}: no power mix is known of it; expected a three-letter ISO code, such as DEU or USA"
        )


def _found(data: Any) -> Emissions:
    return Emissions(
        duration_s=round(data.duration, 1),
        energy_kwh=data.energy_consumed,
        emissions_kg_co2eq=data.emissions,
        country=data.country_iso_code,
        cpu=data.cpu_model or None,
        gpu=data.gpu_model or None,
        tool=f"codecarbon {data.codecarbon_version}",
    )
