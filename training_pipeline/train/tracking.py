"""What a run may report besides its log: energy and emissions, and figures to MLflow or Weights & Biases.

Nothing here decides a run, so it is no part of its configuration. All of it is off by default, needs the `tracking`
extra, and stays on this machine: MLflow writes to a local database, Weights & Biases and codecarbon run offline.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import orjson
from accelerate import Accelerator

from training_pipeline.train.config import TrainConfig

EMISSIONS_NAME: Final = "emissions.jsonl"
MLFLOW_NAME: Final = "mlflow.db"
MLFLOW_ARTIFACTS: Final = "mlflow-artifacts"
TRACKERS: Final = ("mlflow", "wandb")

_PROJECT: Final = "verdictstream"


@dataclass(frozen=True)
class Tracking:
    """What is reported, and where training happens."""

    trackers: tuple[str, ...] = ()
    """Of `TRACKERS`."""
    emissions_country: str | None = None
    """Three-letter ISO code whose power mix counts; None measures nothing."""
    cpu: bool = False
    """Train on the CPU even where there is a GPU."""
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None
    """Called with each epoch's figures; may raise to end the run."""

    def check(self) -> None:
        """Refuse what is unknown or not installed.

        Raises:
            ValueError: says which.
        """
        if unknown := set(self.trackers) - set(TRACKERS):
            raise ValueError(f"trackers are {sorted(unknown)}; expected some of {', '.join(TRACKERS)}")
        wanted = [*self.trackers, *(["codecarbon"] if self.emissions_country else [])]
        if missing := [name for name in wanted if find_spec(name) is None]:
            raise ValueError(f"{', '.join(missing)}: not installed; run `pip install 'verdictstream[tracking]'`")


@contextmanager
def tracked(accelerator: Accelerator, config: TrainConfig, folder: Path, tracking: Tracking) -> Iterator[None]:
    """Open the trackers and measure emissions while the block runs; close them whatever ends it."""
    if tracking.trackers:
        _start_trackers(accelerator, config, folder)
    meter = _emissions_meter(tracking.emissions_country) if accelerator.is_main_process else None
    try:
        yield
    finally:
        if meter is not None:
            meter.stop()
            _record_emissions(folder, meter.final_emissions_data)
        for tracker in accelerator.trackers:
            tracker.finish()


def _start_trackers(accelerator: Accelerator, config: TrainConfig, folder: Path) -> None:
    # Set only where the user has not chosen a server: chats' figures go nowhere by themselves.
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{(folder / MLFLOW_NAME).resolve()}")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("WANDB_MODE", "offline")
    accelerator.init_trackers(
        _PROJECT,
        config={name: str(value) for name, value in config.model_dump(mode="json").items()},
        init_kwargs={
            "wandb": {"dir": str(folder)},
            "mlflow": {"run_name": folder.name, "logging_dir": str((folder / MLFLOW_ARTIFACTS).resolve())},
        },
    )


def _emissions_meter(country: str | None) -> Any:
    if country is None:
        return None
    from codecarbon import OfflineEmissionsTracker  # noqa: PLC0415  (an extra, and slow to import)

    meter = OfflineEmissionsTracker(country_iso_code=country, save_to_file=False, log_level="error")
    meter.start()
    return meter


def _record_emissions(folder: Path, found: Any) -> None:
    """Add one line per session: an interrupted run has several."""
    row = {
        "duration_s": round(found.duration, 1),
        "energy_kwh": found.energy_consumed,
        "emissions_kg_co2eq": found.emissions,
        "country": found.country_iso_code,
        "cpu": found.cpu_model,
        "gpu": found.gpu_model,
        "tool": f"codecarbon {found.codecarbon_version}",
    }
    with (folder / EMISSIONS_NAME).open("ab") as out:
        out.write(orjson.dumps(row) + b"\n")
