"""How long an epoch of quantised training takes, against Brevitas used plainly: a ratio from one run.

Plainly means Brevitas' own layers, a `TensorDataset`, a shuffling `DataLoader`, Adam: what its documentation shows.
Both train the same network on the same events with the same batch, in turn, and CPU seconds are compared, so that
another process on the machine weighs on both alike.  Ours includes what `fit` does besides: gradient clipping, the
digest of the parameters, the comparison with Brevitas.  Takes about two minutes on one core.
"""

import argparse
import os
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.retrain_stages import events
from retrain.checkpoint import settle
from retrain.contract import Contract, axol1tl_contract
from retrain.network import Axol1tl
from retrain.preflight import derive
from retrain.recipe import Recipe, ranges
from retrain.train import fit

AIM = 3.0
"""An epoch is to be at least so many times faster than the plain one."""


class Plain(Axol1tl):
    """The same network, whose loss goes through Brevitas' own layers."""

    def loss(self, inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return the same loss, by Brevitas."""
        hidden: Any = inputs
        layers = list(self.encoder)
        for layer in layers[:-2]:
            hidden = layer(hidden)
        mean = layers[-1](layers[-2](hidden))
        log_variance = self.variance(hidden.value).clamp(-8.0, 4.0)
        latent = mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator)
        wanted = inputs.clamp(-self.limit, self.limit)
        reconstruction = torch.square(self.decoder(latent) - wanted).sum(dim=1)
        divergence = 0.5 * (torch.square(mean) + torch.exp(log_variance) - 1.0 - log_variance).sum(dim=1)
        out: torch.Tensor = (reconstruction + self.kl_weight * divergence).mean() / inputs.shape[1]
        return out


def plain_epoch(recipe: Recipe, contract: Contract, inputs: NDArray[np.float32]) -> None:
    """Train one epoch as the documentation of Brevitas and PyTorch would."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    model = Plain(recipe, contract)
    optimiser = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    loader = DataLoader(TensorDataset(torch.from_numpy(inputs)), recipe.batch_size, shuffle=True, drop_last=True)
    for (batch,) in loader:
        optimiser.zero_grad()
        loss: Any = model.loss(batch, generator)
        loss.backward()
        optimiser.step()


def brevitas_epoch(recipe: Recipe, contract: Contract, inputs: NDArray[np.float32]) -> None:
    """Train one epoch with Brevitas' layers on slices of a tensor: what is left when the DataLoader is gone."""
    torch.manual_seed(recipe.seed)
    generator = torch.Generator().manual_seed(recipe.seed)
    model = Plain(recipe, contract)
    optimiser = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    whole = torch.from_numpy(inputs)
    order = torch.randperm(len(whole), generator=generator)
    for step in range(len(whole) // recipe.batch_size):
        optimiser.zero_grad()
        chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
        loss: Any = model.loss(whole[chosen], generator)
        loss.backward()
        optimiser.step()


def our_epoch(recipe: Recipe, contract: Contract, inputs: NDArray[np.float32]) -> None:
    """Train one epoch as a job does."""
    fit(recipe, contract, inputs)


def cpu_seconds(work: Callable[[], None]) -> float:
    """Return the CPU seconds that a call takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print the ratio at each size of batch; leave with 1 when one is below the aim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=131_072)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # brevitas and torch warn about each other's deprecations
    settle()
    features = events(asked.events, 1)
    contract = derive(axol1tl_contract("L1_AXO"), features)
    inputs = contract.network_inputs(features)
    base = Recipe("L1_AXO", ranges([(1, 1), (1, 2)]), epochs=1)
    small = inputs[:8192]
    for warm in (plain_epoch, brevitas_epoch, our_epoch):
        warm(base, contract, small)
    print(f"torch {version('torch')}, brevitas {version('brevitas')}, {platform.machine()}, one thread, "
          f"{asked.events} events, best and median of {asked.rounds}, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    worst = float("inf")
    for batch in (1024, 4096, 16384):
        recipe = replace(base, batch_size=batch)
        took: dict[str, list[float]] = {"plain": [], "brevitas": [], "ours": []}
        for _ in range(asked.rounds):
            for name, epoch in (("plain", plain_epoch), ("brevitas", brevitas_epoch), ("ours", our_epoch)):
                took[name].append(cpu_seconds(partial(epoch, recipe, contract, inputs)))
        ratios = [plain / ours for plain, ours in zip(took["plain"], took["ours"], strict=True)]
        alone = [one / ours for one, ours in zip(took["brevitas"], took["ours"], strict=True)]
        worst = min(worst, statistics.median(ratios))
        print(
            f"batch {batch}: plain {min(took['plain']):.2f} s, "
            f"Brevitas without DataLoader {min(took['brevitas']):.2f} s, "
            f"ours {min(took['ours']):.2f} s an epoch; ratio to plain {statistics.median(ratios):.1f} "
            f"({min(ratios):.1f} to {max(ratios):.1f}), to Brevitas without DataLoader {statistics.median(alone):.1f}"
        )
    print(f"smallest median ratio {worst:.1f}; aim {AIM:.0f}")
    if worst < AIM:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
