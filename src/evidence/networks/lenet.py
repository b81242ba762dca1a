"""The classifier of digits that David et al. (2019, GANchors, released code) explain: two convolutions with a pool
each, and two dense layers (after LeCun et al., 1998)."""

import math

from torch import nn

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, Network
from evidence.networks.lean import MaxPool
from evidence.shapes import Images, Logits

KERNEL = 5


class LeNet(Network):
    """Convolution without frame, max-pool by two, ReLU, twice; a dense layer, ReLU, and another one. Returns logits.
    ReLU comes after the pool, where it is the same for a quarter of the work.

    431,080 parameters for 1×28×28 and ten classes, where the features are 50×4×4. A pool rounds odd sizes up.

    Args:
        size: of an image.
        channels: of an image.
        widths: channels of the convolutions.
        hidden: units of the first dense layer.
        classes: how many there are.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        channels: int = 1,
        widths: tuple[int, ...] = (20, 50),
        hidden: int = 500,
        classes: int = 10,
    ):
        super().__init__()
        dims, sides, layers = len(size), list(size), []
        for width in widths:
            layers += [CONVOLUTION[dims](channels, width, KERNEL), MaxPool(), nn.ReLU()]
            sides = [math.ceil((side - KERNEL + 1) / 2) for side in sides]
            channels = width
            if min(sides) < 1:
                raise BadInput(
                    f"images of {'×'.join(map(str, size))} are too small for {len(widths)} convolutions of {KERNEL} "
                    "with a pool after each; take larger images, or fewer widths"
                )
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(channels * math.prod(sides), hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, images: Images) -> Logits:
        return self.head(self.trunk(images).flatten(1))

    @property
    def last_stage(self) -> nn.Module:
        """All but the dense layers: Grad-CAM weights what is left after the last pool."""
        return self.trunk
