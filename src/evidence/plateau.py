"""Less learning where a validation loss no longer falls, and in the end none: for classifiers, CyCE and SyCE."""

from collections.abc import Iterable

import torch
from torch import nn


class Plateau(nn.Module):
    """Counts validations without a new best loss. Being a module with buffers, it is part of a learner's state.

    Args:
        patience: after so many in a row the learning rate falls; 0 for never.
        factor: what it is multiplied with.
        floor: it falls no lower; where it would, training has finished. Infinite: it never falls, and training has
            finished after the first ``patience``.
        least: a best loss that is better by no more than this does not count.
    """

    def __init__(self, patience: int, factor: float = 0.3, floor: float = 1e-5, least: float = 0.0):
        super().__init__()
        self.patience, self.factor, self.floor, self.least = patience, factor, floor, least
        for name in ("best", "counted"):
            self.register_buffer(name, torch.tensor(float("inf"), dtype=torch.float64))
        self.register_buffer("stale", torch.tensor(0))
        self.register_buffer("finished", torch.tensor(False))

    def improved(self, loss: float, optimisers: Iterable[torch.optim.Optimizer]) -> bool:
        """Take in a validation loss, and whether it is the best so far; changes the learning rates if it is time."""
        better = bool(loss < self.best)
        if better:
            self.best.fill_(loss)
        if loss < self.counted - self.least:
            self.counted.fill_(loss)
            self.stale.zero_()
            return better
        self.stale += 1
        if self.patience and self.stale >= self.patience:
            self.stale.zero_()
            groups = [group for optimiser in optimisers for group in optimiser.param_groups]
            self.finished.fill_(all(group["lr"] <= self.floor for group in groups))
            for group in groups:
                group["lr"] = max(group["lr"] * self.factor, min(self.floor, group["lr"]))
        return better
