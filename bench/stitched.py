"""What random stitching is timed on: an image, segments, donors and a classifier.

It is read by the interpreter of a peer that has an environment of its own, so it imports little.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from evidence.networks.lenet import LeNet


@dataclass(frozen=True)
class Stitched:
    """MNIST's classifier, without training, and how much is measured.

    Args:
        size: of an image.
        classifier: widths of its convolutions.
        hidden: units of its dense layer.
        grid: segments down and across.
        donors: images that the rest is taken from.
        searches: that are timed together.
    """

    size: tuple[int, int]
    classifier: tuple[int, ...]
    hidden: int
    grid: tuple[int, int]
    donors: int
    searches: int

    def segments(self) -> np.ndarray:
        down, across = (np.arange(side) * n // side for side, n in zip(self.size, self.grid, strict=True))
        return (down[:, None] * self.grid[1] + across).astype(np.int32)

    def images(self, count: int) -> np.ndarray:
        return np.random.default_rng(0).uniform(-1, 1, (count, 1, *self.size)).astype(np.float32)

    def judge(self) -> nn.Module:
        torch.manual_seed(0)
        network = LeNet(size=tuple(self.size), widths=tuple(self.classifier), hidden=self.hidden)
        held = torch.from_numpy(np.isin(self.segments(), (1, 3)))
        return Held(network, held, torch.from_numpy(self.images(1)[0]))


class Held(nn.Module):
    """A classifier whose decision is that of an image where two segments of it are kept: a search has what to find, and
    costs what the network does."""

    def __init__(self, network: nn.Module, held: Tensor, image: Tensor):
        super().__init__()
        self.network = network.eval()
        self.register_buffer("held", held)
        self.register_buffer("image", image)

    def forward(self, images: Tensor) -> Tensor:
        kept = ((images - self.image).abs() * self.held).flatten(1).amax(1) < 1e-6
        return torch.cat([10.0 * kept[:, None], self.network(images)[:, 1:] * 1e-3], 1)
