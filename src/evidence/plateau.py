"""Less learning where a validation loss no longer falls, and in the end none: the schedule of CyCE and SyCE."""

from collections.abc import Iterable

import torch
from torch import nn


class Plateau(nn.Module):
    """Counts validations without a new best loss. Being a module with buffers, it is part of a learner's state.

    Args:
        patience: after so many in a row the learning rate falls; 0 for never.
        factor: what it is multiplied with.
        floor: it falls no lower; where it would, training has finished.
    """

    def __init__(self, patience: int, factor: float = 0.3, floor: float = 1e-5):
        super().__init__()
        self.patience, self.factor, self.floor = patience, factor, floor
        self.register_buffer("best", torch.tensor(float("inf"), dtype=torch.float64))
        self.register_buffer("stale", torch.tensor(0))
        self.register_buffer("finished", torch.tensor(False))

    def improved(self, loss: float, optimisers: Iterable[torch.optim.Optimizer]) -> bool:
        """Take in a validation loss, and whether it is the best so far; changes the learning rates if it is time."""
        if loss < self.best:
            self.best.fill_(loss)
            self.stale.zero_()
            return True
        self.stale += 1
        if self.patience and self.stale >= self.patience:
            self.stale.zero_()
            groups = [group for optimiser in optimisers for group in optimiser.param_groups]
            self.finished.fill_(all(group["lr"] <= self.floor for group in groups))
            for group in groups:
                group["lr"] = max(group["lr"] * self.factor, min(self.floor, group["lr"]))
        return False
