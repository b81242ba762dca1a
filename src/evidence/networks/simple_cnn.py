"""medXGAN's classifier of brain slices (Dravid et al., CVPR-W 2022, released code): a small convolutional network."""

import math

from torch import nn

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, NORMALISATION, Network
from evidence.networks.lean import MaxPool
from evidence.shapes import Images, Logits


class SimpleCNN(Network):
    """Convolution without frame, ReLU, batch normalisation, max-pool by two, dropout, a few times; and a dense layer.

    Normalised is what ReLU left, not what goes into it. Returns logits; the released network returns their softmax.
    56,914 parameters for 64×64 in three channels, where the features are 32×4×4. A pool rounds odd sizes up.

    Args:
        size: of an image.
        channels: of an image.
        widths: channels of the convolutions.
        kernels: their sizes.
        dropout: share of numbers that training leaves out after each pool.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        channels: int = 3,
        widths: tuple[int, ...] = (16, 32, 32),
        kernels: tuple[int, ...] = (3, 6, 6),
        dropout: float = 0.2,
    ):
        if len(widths) != len(kernels):
            raise BadInput(f"kernels: {len(kernels)} of them for {len(widths)} widths; every convolution has one")
        super().__init__()
        dims, sides, layers = len(size), list(size), []
        for width, kernel in zip(widths, kernels, strict=True):
            layers += [CONVOLUTION[dims](channels, width, kernel, bias=False), nn.ReLU()]
            layers += [NORMALISATION[dims](width), MaxPool(), nn.Dropout(dropout)]
            sides = [math.ceil((side - kernel + 1) / 2) for side in sides]
            channels = width
            if min(sides) < 1:
                raise BadInput(
                    f"images of {'×'.join(map(str, size))} are too small for convolutions of {kernels} with a pool "
                    "after each; take larger images, or smaller kernels, or fewer"
                )
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(channels * math.prod(sides), 2)

    def forward(self, images: Images) -> Logits:
        return self.head(self.trunk(images).flatten(1))

    @property
    def last_stage(self) -> nn.Module:
        """All but the dense layer: Grad-CAM weights what is left after the last pool, as released."""
        return self.trunk
