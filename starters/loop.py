"""The training loop the starters share: batches of similar length, a linear schedule, and a time box."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

Example = TypeVar("Example")
REPORT_SECONDS = 60
BATCHES_PER_POOL = 40


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train. Whichever of epochs and minutes ends first ends the run."""

    epochs: float
    minutes: float
    learning_rate: float
    batch: int
    seed: int
    warm_up: float = 0.06
    weight_decay: float = 0.01

    def rate(self, progress: float) -> float:
        """The learning rate at a progress from 0 to 1: a linear rise, then a linear fall to nothing."""
        if progress < self.warm_up:
            return self.learning_rate * progress / self.warm_up
        return self.learning_rate * (1 - progress) / (1 - self.warm_up)


@dataclass
class Run:
    """What a training run has done so far."""

    steps: int = 0
    examples: int = 0
    tokens: int = 0
    seconds: float = 0.0


def seed_everything(seed: int) -> None:
    """Make a run repeatable on one machine, as far as its time box lets it."""
    random.seed(seed)
    torch.manual_seed(seed)


def batches(examples: Sequence[Example], size: int, length: Callable[[Example], int]) -> list[list[Example]]:
    """All examples once, in random order, but of similar length within a batch, so that little is padding."""
    order = random.sample(examples, len(examples))
    pool = size * BATCHES_PER_POOL
    sorted_pools = (sorted(order[at : at + pool], key=length) for at in range(0, len(order), pool))
    result = [group[at : at + size] for group in sorted_pools for at in range(0, len(group), size)]
    random.shuffle(result)
    return result


def optimizer_for(model: torch.nn.Module, plan: Plan) -> torch.optim.Optimizer:
    """AdamW that decays matrices and leaves biases and norms alone."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {
            "params": [parameter for parameter in trained if parameter.ndim > 1],
            "weight_decay": plan.weight_decay,
        },
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)


def train(
    model: torch.nn.Module,
    examples: Sequence[Example],
    loss_of: Callable[[list[Example]], torch.Tensor],
    length: Callable[[Example], int],
    plan: Plan,
    watch: Callable[[Run], None] | None = None,
) -> Run:
    """Train until the plan's epochs or minutes are over; ``watch`` is called with each line of progress."""
    optimizer, run, started = optimizer_for(model, plan), Run(), time.monotonic()
    reported, losses = started, list[float]()
    model.train()
    while True:
        for batch in batches(examples, plan.batch, length):
            run.seconds = time.monotonic() - started
            progress = max(run.seconds / 60 / plan.minutes, run.examples / len(examples) / plan.epochs)
            if progress >= 1:
                model.eval()
                return run
            losses.append(step(model, optimizer, loss_of, batch, plan.rate(progress)))
            run.steps += 1
            run.examples += len(batch)
            run.tokens += sum(map(length, batch))
            if time.monotonic() - reported > REPORT_SECONDS:
                print(report(run, len(examples), losses, time.monotonic() - started), flush=True)
                if watch:
                    watch(run)
                reported, losses = time.monotonic(), []


def step(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[list[Example]], torch.Tensor],
    batch: list[Example],
    rate: float,
) -> float:
    """One update. bfloat16 makes it three times as fast on a CPU that has it, at no loss of quality."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def report(run: Run, size: int, losses: list[float], seconds: float) -> str:
    """One line of progress."""
    mean = sum(losses) / max(1, len(losses))
    return (
        f"step {run.steps}  epoch {run.examples / size:.2f}  loss {mean:.4f}  "
        f"{run.tokens / seconds:,.0f} tokens/s  {seconds:.0f} s"
    )
