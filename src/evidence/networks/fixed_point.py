"""The translator that perturbs images for AOPC and R, after Fixed-Point GAN (Siddiquee et al., 2019).

The layout is that of StarGAN, from which Fixed-Point GAN has it; what it learns differs, and that it draws a change.
"""

import math

import torch
from torch import Tensor, nn

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, UPCONVOLUTION, Network
from evidence.networks.relu import ReLU
from evidence.shapes import Images, Labels, Values

INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
LEAK = 0.01


class Translator(Network):
    """Draws the change that turns an image into one of a class, its own class included: x + G(x, class), cut to range.

    The original squashes by tanh, which has no image of the range's ends; cutting has.

    Args:
        width: channels of the first layer; the middle has four times as many.
        blocks: residual blocks in the middle.
        low, high: the range of intensities.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        width: int = 64,
        blocks: int = 6,
        spatial_dims: int = 2,
        low: float = 0.0,
        high: float = 1.0,
    ):
        super().__init__()
        self.low, self.high = low, high
        conv, up = CONVOLUTION[spatial_dims], UPCONVOLUTION[spatial_dims]

        def normalised(layer: nn.Module, outputs: int) -> list[nn.Module]:
            return [layer, INSTANCE_NORM[spatial_dims](outputs, affine=True), ReLU()]

        w = width
        layers = normalised(conv(channels + 1, w, 7, padding=3, bias=False), w)
        for _ in range(2):
            layers += normalised(conv(w, 2 * w, 4, stride=2, padding=1, bias=False), 2 * w)
            w *= 2
        layers += [Residual(w, spatial_dims) for _ in range(blocks)]
        for _ in range(2):
            layers += normalised(up(w, w // 2, 4, stride=2, padding=1, bias=False), w // 2)
            w //= 2
        self.layers = nn.Sequential(*layers, conv(w, channels, 7, padding=3, bias=False))

    def forward(self, images: Images, labels: Labels) -> Images:
        if any(size % 4 for size in images.shape[2:]):
            size = "×".join(map(str, images.shape[2:]))
            raise BadInput(f"the perturber needs sizes divisible by 4, not {size}; resize the images")
        plane = labels.to(images).view(-1, *(1,) * (images.dim() - 1)).expand(-1, 1, *images.shape[2:])
        change = self.layers(torch.cat([images, plane], 1)).to(images.dtype)
        return (images + change).clamp(self.low, self.high)

    translate = forward


class Residual(nn.Module):
    """Two normalised convolutions beside the identity."""

    def __init__(self, width: int, spatial_dims: int):
        super().__init__()
        conv, norm = CONVOLUTION[spatial_dims], INSTANCE_NORM[spatial_dims]
        self.layers = nn.Sequential(
            conv(width, width, 3, padding=1, bias=False),
            norm(width, affine=True),
            ReLU(),
            conv(width, width, 3, padding=1, bias=False),
            norm(width, affine=True),
        )

    def forward(self, images: Tensor) -> Tensor:
        return images + self.layers(images)


class Judge(Network):
    """Two judgements of an image: how real its patches look, on average, and the log-odds of class 1."""

    def __init__(self, *, size: tuple[int, ...], channels: int = 1, width: int = 64, depth: int = 6):
        super().__init__()
        dims = len(size)
        conv = CONVOLUTION[dims]
        layers: list[nn.Module] = []
        for level in range(depth):
            outputs = width * 2**level
            layers += [conv(channels, outputs, 4, stride=2, padding=1), nn.LeakyReLU(LEAK, inplace=True)]
            channels = outputs
        left = tuple(size)
        for _ in range(depth):
            left = tuple(s // 2 for s in left)
        if min(left) < 1:
            shape = "×".join(map(str, size))
            raise BadInput(
                f"depth: images of {shape} cannot be halved {depth} times; {int(math.log2(min(size)))} at most"
            )
        self.trunk = nn.Sequential(*layers)
        self.real = conv(channels, 1, 3, padding=1, bias=False)
        self.label = conv(channels, 1, left, bias=False)

    def forward(self, images: Images) -> tuple[Values, Values]:
        features = self.trunk(images)
        return self.real(features).flatten(1).mean(1), self.label(features).flatten()
