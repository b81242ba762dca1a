"""The diverse encoder of David et al. (2019, GANchors, released code): from what an anchor shows of an image to several
latents of it."""

import math

from torch import Tensor, nn

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, Network
from evidence.shapes import Images

Codes = Tensor  # float32 (batch, code, z)


class Encoder(Network):
    """Masked images to several latents each: convolutions of kernel 4 and stride 2, and a dense layer.

    Images are in [0, 1], and 0 where nothing is shown: it cannot tell that from black. Released for 1×28×28: 502,816
    parameters, 64×3×3 features. For faces of 256×256: widths (64, 128, 256, 256, 256, 256), 4×4 features, 2 codes.

    Args:
        size: of an image.
        channels: of an image.
        widths: channels of the convolutions, each of which halves the size.
        codes: latents for an image.
        z: numbers in a latent.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        channels: int = 1,
        widths: tuple[int, ...] = (16, 32, 64),
        codes: int = 8,
        z: int = 100,
    ):
        super().__init__()
        dims, layers = len(size), []
        for width in widths:
            layers.append(CONVOLUTION[dims](channels, width, 4, stride=2, padding=1, bias=False))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            channels = width
        sides = [side // 2 ** len(widths) for side in size]
        if min(sides) < 1:
            raise BadInput(
                f"widths: images of {'×'.join(map(str, size))} cannot be halved {len(widths)} times; take fewer widths"
            )
        self.sizes = (codes, z)
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(channels * math.prod(sides), codes * z)

    def forward(self, masked: Images) -> Codes:
        return self.head(self.trunk(masked).flatten(1)).unflatten(1, self.sizes)
