"""The map generator of VA-GAN: a U-Net with three pools (Baumgartner et al., 2018, section 3.4 and released code)."""

from functools import partial

from torch import nn

from evidence.errors import BadInput
from evidence.networks.blocks import Network, convolution, normalised, upsampled
from evidence.networks.lean import MaxPool, joined
from evidence.shapes import Images


class MapGenerator(Network):
    """Maps an image to an additive map of the same size; the output is linear.

    All three up-convolutions have ``width`` outputs, a detail of the released code that the parameter count shows
    (462 305 in 2D). Skips are taken after the second convolution of a level and stand second in the concatenation.

    Args:
        tanh: whether ``heal`` squashes the healed image into (-1, 1).
        zero: start from the map that is zero everywhere, by zeroing the last convolution.
    """

    def __init__(
        self, *, channels: int = 1, width: int = 16, spatial_dims: int = 2, tanh: bool = True, zero: bool = False
    ):
        super().__init__()
        d, w = spatial_dims, width
        block = partial(normalised, d, inplace=True)
        self.tanh = tanh
        self.encoders = nn.ModuleList(
            nn.Sequential(block(inputs, outputs), block(outputs, outputs))
            for inputs, outputs in ((channels, w), (w, 2 * w), (2 * w, 4 * w), (4 * w, 8 * w))
        )
        self.pool = MaxPool()
        self.ups = nn.ModuleList(upsampled(d, inputs, w) for inputs in (8 * w, 4 * w, 2 * w))
        self.decoders = nn.ModuleList(
            (
                nn.Sequential(block(w + 4 * w, 4 * w), block(4 * w, 4 * w)),
                nn.Sequential(block(w + 2 * w, 2 * w), block(2 * w, 2 * w)),
                block(w + w, w),
            )
        )
        self.last = convolution(d, w, channels)
        if zero:
            nn.init.zeros_(self.last.weight)

    def forward(self, images: Images) -> Images:
        if any(size % 8 for size in images.shape[2:]):
            size = "×".join(map(str, images.shape[2:]))
            raise BadInput(f"a U-Net with three pools needs sizes divisible by 8, not {size}; resize or pad the images")
        skips = []
        x = images
        for encoder in self.encoders[:-1]:
            skips.append(encoder(x))
            x = self.pool(skips[-1])
        x = self.encoders[-1](x)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            x = decoder(joined(up(x), skips.pop()))
        return self.last(x)

    def heal(self, images: Images) -> Images:
        """The image as it would look in the baseline class: y = tanh(x + M(x)), or y = x + M(x)."""
        healed = images + self(images).to(images.dtype)
        return healed.tanh() if self.tanh else healed
