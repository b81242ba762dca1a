"""The C3D family of VA-GAN (Baumgartner et al., 2018): a critic without normalisation and classifiers twice as wide.

All of them are a trunk of blocks of 3×3(×3) convolutions with max-pools between them, and a head. Layer tables follow
the authors' released code, whose sizes the parameter counts in the tests pin down.
"""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import nn

from evidence.errors import BadInput
from evidence.networks.blocks import Network, convolution, initialise, normalisation, normalised
from evidence.networks.lean import MaxPool, transposed
from evidence.networks.relu import ReLU, gated
from evidence.shapes import Images, Logits, Values


class Critic(Network):
    """Judges how much an image looks like the baseline class: a number an image, the mean over a map of scores.

    Ten convolutions with plain ReLU, four pools and no normalisation (section 3.4 and the released code). Its receptive
    field is 166 pixels. Where a pool follows, ReLU comes after it: the maximum of what is positive is the positive part
    of the maximum, at a quarter of the work.
    """

    def __init__(self, *, channels: int = 1, width: int = 16, spatial_dims: int = 2):
        super().__init__()
        w = width
        blocks = ((w,), (2 * w,), (4 * w, 4 * w), (8 * w, 8 * w), (16 * w, 16 * w, 16 * w))
        layers: list[nn.Module] = []
        for number, block in enumerate(blocks):
            for place, outputs in enumerate(block):
                layers.append(convolution(spatial_dims, channels, outputs))
                if place == len(block) - 1 and number < len(blocks) - 1:
                    layers.append(MaxPool())
                layers.append(ReLU())
                channels = outputs
        layers.append(convolution(spatial_dims, channels, 1, kernel=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Images) -> Values:
        return self.score(self.features(images))

    def features(self, images: Images) -> torch.Tensor:
        """All but the last layer: (batch, channel, a sixteenth of the space)."""
        return self.layers[:-1](images)

    def score(self, features: torch.Tensor) -> Values:
        """The last layer, and the mean of its map."""
        return self.layers[-1](features).flatten(1).mean(1)

    def slope(self, images: Images) -> Images:
        """The gradient of each image's score by its pixels, differentiable by the weights; the images are constants.

        The critic is piecewise linear, so its gradient is the same layers transposed, in reverse, through the gates and
        places that the images chose. Those do not change with the weights, except in jumps that no derivative sees; so
        the way forth needs no graph. Differentiating twice by autograd gives the same numbers, and to get them carries
        zeros back through all of the first pass: the cost of 6 forward passes instead of 4.
        """
        gates: list[Any] = []
        with torch.no_grad():
            x = images
            for layer in self.layers[:-1]:
                if isinstance(layer, MaxPool):
                    size = x.shape[2:]
                    x, places = layer.places(x)
                    gates.append((places, size))
                else:
                    x = layer(x)
                    if isinstance(layer, nn.ReLU):
                        gates.append(x)
            slope = torch.full_like(self.layers[-1](x), 1 / math.prod(x.shape[2:]))
        for layer in reversed(self.layers):
            if isinstance(layer, MaxPool):
                slope = layer.spread(slope, *gates.pop())
            elif isinstance(layer, nn.ReLU):
                slope = gated(slope, gates.pop())
            else:
                slope = transposed(layer, slope)
        return slope


class Classifier(Network):
    """Blocks of convolution, batch normalisation and ReLU, and one of three heads.

    ``dense`` is the paper's classifier: four pools, two dense layers, and batch normalisation even on the logits.
    ``cam`` has two pools and a global average in front of one dense layer without bias, whose weights are those of the
    class activation map. ``convolution`` replaces the dense layers by a 1×1(×1) convolution and a global average: the
    network of the authors' 3D configuration, with ``widest=256``.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        head: str = "dense",
        channels: int = 1,
        classes: int = 2,
        width: int = 32,
        widest: int = 512,
        last_block: bool = True,
        hidden: int = 512,
    ):
        super().__init__()
        dims = len(size)
        blocks = [(width,), (2 * width,), (4 * width,) * 2, (8 * width,) * 2]
        if last_block:
            blocks.append((16 * width,) * 3)
        pools = 2 if head == "cam" else 4
        layers: list[nn.Module] = []
        for number, block in enumerate(blocks):
            for outputs in block:
                outputs = min(outputs, widest)
                layers.append(normalised(dims, channels, outputs))
                channels = outputs
            if number < pools:
                layers.append(MaxPool())
        self.trunk = nn.Sequential(*layers)
        self.head = HEADS[head](dims, channels, tuple(math.ceil(s / 2**pools) for s in size), classes, hidden)

    def forward(self, images: Images) -> Logits:
        return self.head(self.trunk(images))

    def pyramid(self, images: Images) -> list[torch.Tensor]:
        """Features at a half, a quarter, … of the image's size, as they are in front of each pool and in the end."""
        x, found = images, []
        for layer in self.trunk:
            if isinstance(layer, MaxPool):
                found.append(x)
            x = layer(x)
        return [*found[1:], x]

    @property
    def last_stage(self) -> nn.Module:
        """The last convolution with its activation, whose features Grad-CAM weights."""
        return next(layer for layer in reversed(self.trunk) if not isinstance(layer, MaxPool))


class DenseHead(nn.Sequential):
    """Flatten, a hidden layer, the logits; each dense layer is normalised, the logits too."""

    def __init__(self, dims: int, channels: int, size: tuple[int, ...], classes: int, hidden: int):
        super().__init__(
            nn.Flatten(),
            initialise(nn.Linear(channels * math.prod(size), hidden, bias=False)),
            nn.BatchNorm1d(hidden, eps=1e-3, momentum=0.01),
            nn.ReLU(),
            initialise(nn.Linear(hidden, classes, bias=False)),
            nn.BatchNorm1d(classes, eps=1e-3, momentum=0.01),
        )


class AverageHead(nn.Module):
    """Global average, then one dense layer without bias: its weights draw the class activation map."""

    def __init__(self, dims: int, channels: int, size: tuple[int, ...], classes: int, hidden: int):
        super().__init__()
        self.dense = initialise(nn.Linear(channels, classes, bias=False))

    def forward(self, features: Images) -> Logits:
        return self.dense(features.flatten(2).mean(2))


class ConvolutionHead(nn.Module):
    """A normalised 1×1(×1) convolution to one channel a class, then the global average."""

    def __init__(self, dims: int, channels: int, size: tuple[int, ...], classes: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            convolution(dims, channels, classes, kernel=1, bias=False), normalisation(dims, classes)
        )

    def forward(self, features: Images) -> Logits:
        return self.layers(features).flatten(2).mean(2)


HEADS = {"dense": DenseHead, "cam": AverageHead, "convolution": ConvolutionHead}


@torch.no_grad()
def class_activation(network: Classifier, images: Images, label: int) -> Float[Any, "batch 1 *cells"]:
    """Σ_k w_k·f_k over the channels of the last convolution (Zhou et al., 2016), at the trunk's resolution."""
    if not isinstance(network.head, AverageHead):
        raise BadInput("a class activation map needs a classifier with head='cam'; these weights have another head")
    features = network.trunk(images)  # (batch, channel, *space)
    weights = network.head.dense.weight[label]  # (channel,)
    return torch.einsum("bc...,c->b...", features, weights).unsqueeze(1)
