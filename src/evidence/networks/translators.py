"""Networks that turn images of one class into the other: those of CyCE, SyCE and SAGen (Charachon et al., 2021).

The layout is that of the authors' released code. Its building unit is an affine map of each channel, an activation and
a 3×3 convolution, in this order. There the affine map is a batch normalisation, but one whose statistics never moved
from 0 and 1 in any of the released weights; so it is an affine map, and its dropout, never switched on, is left out.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import interpolate

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, Network
from evidence.networks.lean import MaxPool
from evidence.networks.relu import ReLU
from evidence.shapes import Images, Labels, Values

WIDTHS = (16, 32, 64)  # of the released configuration, for digits of 28×28
LEAK = 0.3  # LeakyReLU's slope in Keras


class ResidualUNet(nn.Module):
    """A U-Net whose deeper levels are residual; without a head: it ends with twice the first width's channels.

    A level takes one unit to its width, pools, and adds three units to what was pooled. On the way up two units come
    before each enlargement, and the skip stands first in the concatenation.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], spatial_dims: int):
        super().__init__()
        first, deeper = widths[0], list(itertools.pairwise(widths))
        self.entry = nn.Sequential(unit(spatial_dims, channels, first), unit(spatial_dims, first, first))
        self.downs = nn.ModuleList(nn.Sequential(unit(spatial_dims, a, b), MaxPool()) for a, b in deeper)
        self.residuals = nn.ModuleList(
            nn.Sequential(*(unit(spatial_dims, width, width) for _ in range(3))) for width in widths[1:]
        )
        inputs = [widths[-1], *(2 * width for width in reversed(widths[1:-1]))]
        self.ups = nn.ModuleList(
            nn.Sequential(unit(spatial_dims, a, b), unit(spatial_dims, b, b))
            for a, b in zip(inputs, reversed(widths[:-1]), strict=True)
        )
        self.multiple = 2 ** len(deeper)
        self.outputs = 2 * first

    def forward(self, images: Images) -> Tensor:
        if any(size % self.multiple for size in images.shape[2:]):
            size = "×".join(map(str, images.shape[2:]))
            raise BadInput(f"this generator needs sizes divisible by {self.multiple}, not {size}; resize the images")
        skips = [self.entry(images)]
        for down, residual in zip(self.downs, self.residuals, strict=True):
            pooled = down(skips[-1])
            skips.append(pooled + residual(pooled))
        x = skips.pop()
        for up in self.ups:
            x = torch.cat([skips.pop(), interpolate(up(x), scale_factor=2.0, mode="nearest")], dim=1)
        return x


class Pair(Network):
    """CyCE's and SyCE's two generators: ``generators[c]`` makes of an image of class c one of the other class.

    Outputs are linear, then cut to the range of intensities. With ``symmetric`` the way to the adversary starts from
    the stable image, the same generator applied twice (SyCE), else from the image itself (CyCE).

    Args:
        residual: outputs are added to the image, and nothing at first. Released: no.
        low, high: the range of intensities. Paper: 0 and 1.
    """

    def __init__(
        self,
        *,
        symmetric: bool,
        channels: int = 1,
        widths: tuple[int, ...] = WIDTHS,
        spatial_dims: int = 2,
        residual: bool = False,
        low: float = 0.0,
        high: float = 1.0,
    ):
        super().__init__()
        self.symmetric, self.residual, self.low, self.high = symmetric, residual, low, high
        trunks = [ResidualUNet(channels, widths, spatial_dims) for _ in range(2)]
        self.generators = nn.ModuleList(
            nn.Sequential(trunk, last(CONVOLUTION[spatial_dims](trunk.outputs, channels, 1), residual))
            for trunk in trunks
        )

    def across(self, images: Images, label: int) -> Images:
        """Images of one class, all of them, as they would look in the other."""
        drawn = self.generators[label](images).to(images.dtype)
        return Cut.apply(images + drawn if self.residual else drawn, self.low, self.high)

    def path(self, images: Images, labels: Labels) -> tuple[Images, Images]:
        """Where the way of each image starts, and its adversary; ``labels`` are the classifier's decisions."""
        start, adversary = images.clone(), torch.empty_like(images)
        for label in (0, 1):
            rows = (labels == label).nonzero().flatten()
            if len(rows):
                adversary[rows] = self.across(images[rows], label)
                if self.symmetric:
                    start[rows] = self.across(adversary[rows], label)
        return start, adversary


class Twin(Network):
    """SAGen's generator: one trunk for both classes, and a head each for the stable image and the adversary."""

    def __init__(
        self,
        *,
        channels: int = 1,
        widths: tuple[int, ...] = WIDTHS,
        spatial_dims: int = 2,
        residual: bool = False,
        low: float = 0.0,
        high: float = 1.0,
    ):
        super().__init__()
        self.residual, self.low, self.high = residual, low, high
        self.trunk = ResidualUNet(channels, widths, spatial_dims)
        inputs = self.trunk.outputs
        self.stable, self.adversary = (
            nn.Sequential(  # no activation in between, as released
                convolution(spatial_dims, inputs, inputs),
                convolution(spatial_dims, inputs, inputs // 2),
                last(CONVOLUTION[spatial_dims](inputs // 2, channels, 1), residual),
            )
            for _ in range(2)
        )

    def forward(self, images: Images) -> tuple[Images, Images]:
        """The stable image and the adversary."""
        features = self.trunk(images)
        stable, adversary = (head(features).to(images.dtype) for head in (self.stable, self.adversary))
        if self.residual:
            stable, adversary = images + stable, images + adversary
        return Cut.apply(stable, self.low, self.high), Cut.apply(adversary, self.low, self.high)

    def path(self, images: Images, labels: Labels) -> tuple[Images, Images]:
        """The same, whatever the classifier decided: this generator knows no classes."""
        return self(images)


class Cut(torch.autograd.Function):
    """Clamps to a range. The gradient passes also where a value was cut, if to descend leads back into the range.

    Plain clamping (the released code's) passes nothing there, and a generator that has drawn an image black, or white,
    never learns again.
    """

    @staticmethod
    def forward(ctx, values: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(values)
        ctx.range = low, high
        return values.clamp(low, high)

    @staticmethod
    @once_differentiable
    def backward(ctx, slope: Tensor) -> tuple[Tensor, None, None]:
        (values,), (low, high) = ctx.saved_tensors, ctx.range
        lost = ((values < low) & (slope > 0)) | ((values > high) & (slope < 0))
        return slope.masked_fill(lost, 0.0), None, None


class Discriminator(Network):
    """Tells real images of a class from generated ones: a number an image, high for real ones.

    Two convolutions a level, the second with stride 2, a leaky ReLU before each, and a dense layer on what is left.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        channels: int = 1,
        widths: tuple[int, ...] = (32, 64, 96),
    ):
        super().__init__()
        dims = len(size)
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.LeakyReLU(LEAK), convolution(dims, channels, width)]
            layers += [nn.LeakyReLU(LEAK), convolution(dims, width, width, stride=2)]
            channels = width
        left = math.prod(math.ceil(s / 2 ** len(widths)) for s in size)
        self.layers = nn.Sequential(*layers, nn.Flatten(), glorot(nn.Linear(channels * left, 1)))

    def forward(self, images: Images) -> Values:
        return self.layers(images).flatten()


class Affine(nn.Module):
    """A scale and a shift of each channel, at first those that change nothing."""

    def __init__(self, channels: int, spatial_dims: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, *(1,) * spatial_dims))
        self.shift = nn.Parameter(torch.zeros(channels, *(1,) * spatial_dims))

    def forward(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.shift, images, self.scale)


def unit(spatial_dims: int, inputs: int, outputs: int) -> nn.Sequential:
    """Affine map, ReLU, convolution."""
    return nn.Sequential(Affine(inputs, spatial_dims), ReLU(), convolution(spatial_dims, inputs, outputs))


def convolution(spatial_dims: int, inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return glorot(CONVOLUTION[spatial_dims](inputs, outputs, 3, stride=stride, padding=1))


def last(layer: nn.Module, residual: bool) -> nn.Module:
    """The layer that draws: Keras' initialisation, or nothing at first where it draws a change."""
    glorot(layer)
    if residual:
        nn.init.zeros_(layer.weight)
    return layer


def glorot(layer: nn.Module) -> nn.Module:
    """Keras' initialisation: uniform by fan-in and fan-out, and no bias."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
