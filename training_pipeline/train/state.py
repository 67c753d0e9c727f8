"""What changes while training: weights, moments and learning rates, on the devices that accelerate gives.

Invariant: a step's gradient is that of the mean loss over its chats, into however many parts and processes they are
divided; only the order of additions and the dropout masks differ. One process without parts computes what plain torch
computes.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
import structlog
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState, PartialState
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.run_folder import part_path, read_marker, weights_path, write_marker

log = structlog.get_logger()

LossOfRows = Callable[[NDArray[np.int64]], torch.Tensor]
"""Mean loss of the chats at these positions, a scalar on the device."""


def start_accelerator(config: TrainConfig, *, cpu: bool = False) -> Accelerator:
    """Return the accelerator of this process: CPU, one GPU, or one of several under `accelerate launch`.

    Raises:
        ValueError: the hardware lacks the precision.
    """
    device = PartialState(cpu=cpu).device
    if config.fp16 and device.type != "cuda":
        raise ValueError(f"fp16 is true and the device is {device}; expected a CUDA GPU; use bf16, or neither")
    # The precision of an earlier run in this process would otherwise hold for all later ones.
    AcceleratorState._reset_state()  # noqa: SLF001  (accelerate has no public way)
    precision = "fp16" if config.fp16 else "bf16" if config.bf16 else "no"
    return Accelerator(cpu=cpu, mixed_precision=precision)


class PartOfEpoch(NamedTuple):
    """How far an epoch has come."""

    epoch: int
    n_steps: int
    """Of this epoch."""
    loss: float
    """Summed over these steps."""


@dataclass(frozen=True)
class TrainingState:
    """Model, optimiser and schedule of a run."""

    accelerator: Accelerator
    model: EncoderClassifier
    network: torch.nn.Module
    """The model as accelerate wraps it: it averages gradients over the processes."""
    config: TrainConfig
    optimizer: AcceleratedOptimizer
    schedule: torch.optim.lr_scheduler.LambdaLR

    @classmethod
    def start(
        cls, accelerator: Accelerator, model: EncoderClassifier, config: TrainConfig, *, n_steps: int
    ) -> "TrainingState":
        """Set up AdamW with a linear warm-up and a linear decay to zero over `n_steps`."""
        network = accelerator.prepare_model(model)
        optimizer = torch.optim.AdamW(
            [
                {"params": list(model.encoder.parameters()), "lr": config.encoder_lr},
                {"params": model.head_parameters(), "lr": config.head_lr},
            ],
            weight_decay=config.weight_decay,
            fused=True,
        )
        n_warmup = max(1, int(config.warmup_ratio * n_steps))
        n_decay = max(1, n_steps - n_warmup)

        def factor(step: int) -> float:
            return min((step + 1) / n_warmup, max(0.0, (n_steps - step) / n_decay))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return cls(accelerator, model, network, config, accelerator.prepare_optimizer(optimizer), schedule)

    def step(self, group: NDArray[np.int64], loss_of: LossOfRows) -> float:
        """Move the weights by one step over the chats of a group; return this process's share of the mean loss.

        Args:
            group: int64 [rows], the same on every process, which takes its part of them.
            loss_of: Mean loss of some of these rows.
        """
        accelerator, n_parts = self.accelerator, self.config.gradient_accumulation
        every_part = np.array_split(group, accelerator.num_processes * n_parts)
        first = accelerator.process_index * n_parts
        total = 0.0
        for i, part in enumerate(every_part[first : first + n_parts]):
            # The wrapper takes the mean over processes, so parts weigh by their rows times the processes. A part may be
            # empty, and still every process must go through the same passes: it then computes a row of weight 0.
            weight = len(part) / len(group) * accelerator.num_processes
            with nullcontext() if i == n_parts - 1 else accelerator.no_sync(self.network):
                loss = loss_of(part if len(part) else group[:1]) * weight
                accelerator.backward(loss)
            total += loss.item()
        accelerator.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        if not self.optimizer.step_was_skipped:
            self.schedule.step()
        self.optimizer.zero_grad(set_to_none=True)
        return total

    def save(self, folder: Path, epoch: int, loss: float) -> None:
        """Write the weights, then the moments, then the marker; from the main process only."""
        if self.accelerator.is_main_process:
            save_file(self.model.state_dict(), weights_path(folder, epoch))
            save_file(self._moments(), folder / f"optimizer-{epoch}.safetensors")
            write_marker(folder, {"epoch": epoch, "loss": loss, **self._scaler_state()})
            (folder / f"optimizer-{epoch - 1}.safetensors").unlink(missing_ok=True)
            part_path(folder).unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()

    def save_part(self, folder: Path, part: PartOfEpoch) -> None:
        """Write what an epoch needs to go on from here, in one file; for a run of one process only."""
        values = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        values |= {f"optimizer.{name}": value for name, value in self._moments().items()}
        values["random.cpu"] = torch.get_rng_state()
        if self.accelerator.device.type == "cuda":
            values["random.cuda"] = torch.cuda.get_rng_state()
        written = {"part": orjson.dumps({**part._asdict(), **self._scaler_state()}).decode()}
        path = part_path(folder)
        new = path.with_suffix(".new")
        save_file(values, new, metadata=written)
        new.replace(path)

    def resume_part(self, folder: Path, epoch: int) -> PartOfEpoch | None:
        """Load the part of an epoch that was done, and say how far it went; None where there is none of it."""
        path = part_path(folder)
        if self.accelerator.num_processes > 1 or not path.exists():
            return None
        with safe_open(path, "pt") as file:
            written = orjson.loads(file.metadata()["part"])
            scaler = written.pop("scaler", None)
            part = PartOfEpoch(**written)
            if part.epoch != epoch:
                return None
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
        self.model.load_state_dict(_below("model.", values))
        self._load_moments(_below("optimizer.", values))
        if self.accelerator.scaler is not None and scaler is not None:
            self.accelerator.scaler.load_state_dict(scaler)
        torch.set_rng_state(values["random.cpu"])
        if "random.cuda" in values and self.accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(values["random.cuda"])
        log.info("epoch_resumed", epoch=epoch, n_steps_done=part.n_steps)
        return part

    def resume(self, folder: Path) -> dict[str, Any]:
        """Load the last complete epoch, if any, and return its marker."""
        marker = read_marker(folder)
        epoch = marker["epoch"]
        if epoch == 0:
            return marker
        self.model.load_state_dict(load_file(weights_path(folder, epoch)))
        n_steps = self._load_moments(load_file(folder / f"optimizer-{epoch}.safetensors"))
        if self.accelerator.scaler is not None and "scaler" in marker:
            self.accelerator.scaler.load_state_dict(marker["scaler"])
        log.info("run_resumed", epoch=epoch, n_steps=n_steps)
        return marker

    def _moments(self) -> dict[str, torch.Tensor]:
        state = self.optimizer.optimizer.state_dict()["state"]
        return {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}

    def _load_moments(self, moments: dict[str, torch.Tensor]) -> int:
        """Load the moments, set the learning rates that follow, and return how many steps were taken."""
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in moments.items():
            position, _, moment = name.partition(".")
            state.setdefault(int(position), {})[moment] = value
        optimizer, schedule = self.optimizer.optimizer, self.schedule
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        n_steps = int(next(iter(state.values()))["step"].item()) if state else 0
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": n_steps, "_step_count": n_steps + 1})
        for group, factor, base_lr in zip(optimizer.param_groups, schedule.lr_lambdas, schedule.base_lrs, strict=True):
            group["lr"] = base_lr * factor(n_steps)
        return n_steps

    def _scaler_state(self) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {} if scaler is None else {"scaler": scaler.state_dict()}


def _below(prefix: str, values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
