"""What changes while training: weights, moments and learning rates, on the devices that accelerate gives.

Invariant: a step's gradient is that of the mean loss over its chats, into however many parts and processes they are
divided; only the order of additions and the dropout masks differ. One process without parts computes what plain torch
computes.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.state import AcceleratorState, PartialState
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.run_folder import read_marker, weights_path, write_marker

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
            state = self.optimizer.optimizer.state_dict()["state"]
            moments = {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}
            save_file(moments, folder / f"optimizer-{epoch}.safetensors")
            scaler = self.accelerator.scaler
            write_marker(
                folder,
                {"epoch": epoch, "loss": loss, **({"scaler": scaler.state_dict()} if scaler is not None else {})},
            )
            (folder / f"optimizer-{epoch - 1}.safetensors").unlink(missing_ok=True)
        self.accelerator.wait_for_everyone()

    def resume(self, folder: Path) -> dict[str, Any]:
        """Load the last complete epoch, if any, and return its marker."""
        marker = read_marker(folder)
        epoch = marker["epoch"]
        if epoch == 0:
            return marker
        self.model.load_state_dict(load_file(weights_path(folder, epoch)))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in load_file(folder / f"optimizer-{epoch}.safetensors").items():
            position, _, moment = name.partition(".")
            state.setdefault(int(position), {})[moment] = value
        optimizer, schedule = self.optimizer.optimizer, self.schedule
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        if self.accelerator.scaler is not None and "scaler" in marker:
            self.accelerator.scaler.load_state_dict(marker["scaler"])
        n_steps = int(next(iter(state.values()))["step"].item()) if state else 0
        schedule.load_state_dict({**schedule.state_dict(), "last_epoch": n_steps, "_step_count": n_steps + 1})
        for group, factor, base_lr in zip(optimizer.param_groups, schedule.lr_lambdas, schedule.base_lrs, strict=True):
            group["lr"] = base_lr * factor(n_steps)
        log.info("run_resumed", epoch=epoch, n_steps=n_steps)
        return marker
