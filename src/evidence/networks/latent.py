"""medXGAN's two networks (Dravid et al., CVPR-W 2022, section 3 and released code): images out of two latents, and
their judge. Layers as released; sizes and widths are arguments."""

import torch
from torch import Tensor, nn

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, NORMALISATION, UPCONVOLUTION, Network, drawn_as_dcgan
from evidence.networks.lean import Doubling, Dropout
from evidence.networks.relu import ReLU
from evidence.shapes import Images, Labels, Values

Latents = Tensor  # float32 (batch, z1 + z2)


class Generator(Network):
    """Latents (batch, z1 + z2) to images: a dense layer, transposed convolutions that more than double the size, tanh.

    z1 is what an image shows whatever its class, z2 what makes it one of class 1: with z2 = 0 it is one of class 0. The
    side of an image follows from the number of widths: 64 for three, 128 for four. Released: 1000 + 100 numbers and
    (384, 256, 192) for 64×64, 11,943,296 parameters; 100 + 10 and (384, 256, 192, 64) for 128×128, 11,465,728.

    Args:
        channels: of an image.
        z1: numbers in the first latent.
        z2: numbers in the second.
        base: channels of the dense layer's one place.
        widths: channels of the transposed convolutions but the last.
        low: intensity of the darkest pixel.
        high: intensity of the brightest.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        z1: int = 1000,
        z2: int = 100,
        base: int = 768,
        widths: tuple[int, ...] = (384, 256, 192),
        low: float = -1.0,
        high: float = 1.0,
        spatial_dims: int = 2,
    ):
        super().__init__()
        self.sizes, self.low, self.high, self.dims = (z1, z2), low, high, spatial_dims
        self.first = nn.Linear(z1 + z2, base)
        layers: list[nn.Module] = []
        inputs = base
        for width in widths:
            layers += [_doubling(spatial_dims, inputs, width, 5)]
            layers += [NORMALISATION[spatial_dims](width), ReLU()]
            inputs = width
        layers += [_doubling(spatial_dims, inputs, channels, 8), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(drawn_as_dcgan)

    def forward(self, latents: Latents) -> Images:
        if latents.shape[1] != sum(self.sizes):
            raise BadInput(
                f"latents of {latents.shape[1]} numbers do not fit a generator of {self.sizes[0]} + {self.sizes[1]}; "
                "were they found with another generator? Invert the images again with this one"
            )
        images = self.layers(self.first(latents)[(...,) + (None,) * self.dims])
        return images if (self.low, self.high) == (-1.0, 1.0) else self.low + (images + 1) * (self.high - self.low) / 2

    def negative(self, latents: Latents) -> Latents:
        """The same with z2 = 0: what belongs to class 0."""
        return torch.cat([latents[:, : self.sizes[0]], torch.zeros_like(latents[:, self.sizes[0] :])], 1)

    def guessed(self, encoder: nn.Module, images: Images, labels: Labels) -> Latents:
        """What the encoder that learnt with this generator takes for the latents of images of these classes."""
        shares = (images - self.low) / (self.high - self.low)
        return typical(encoder(shares).squeeze(1).float(), labels, self.sizes)


class Discriminator(Network):
    """A number an image, high where it seems real: convolutions, every other one of stride 2, and a dense layer.

    Released: 1,586,545 parameters at 64×64, and 1,660,273 at 128×128.

    Args:
        size: of an image.
        channels: of an image.
        widths: channels of the convolutions.
        dropout: share of numbers that training leaves out after each.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        channels: int = 3,
        widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
    ):
        super().__init__()
        dims, layers = len(size), []
        inputs, sides = channels, list(size)
        for number, width in enumerate(widths):
            stride, frame = (2, 1) if number % 2 == 0 else (1, 0)
            layers.append(CONVOLUTION[dims](inputs, width, 3, stride=stride, padding=frame, bias=False))
            layers += [NORMALISATION[dims](width)] * (number > 0)
            layers += [nn.LeakyReLU(0.2, inplace=True), Dropout(dropout)]
            sides = [(side + 2 * frame - 3) // stride + 1 for side in sides]
            inputs = width
        if min(sides) < 1:
            raise BadInput(f"images of {'×'.join(map(str, size))} are too small for {len(widths)} convolutions")
        self.layers = nn.Sequential(*layers)
        self.last = nn.Linear(inputs * torch.Size(sides).numel(), 1)
        self.apply(drawn_as_dcgan)

    def forward(self, images: Images) -> Values:
        return self.last(self.layers(images).flatten(1)).squeeze(1)


def draw(labels: Labels | Values, sizes: tuple[int, int], random: torch.Generator | None = None) -> Latents:
    """Latents of images of these classes: z1 from N(0, I), and z2 as well for class 1, exact zeros for class 0; for
    numbers in between that share of it."""
    device = random.device if random is not None else labels.device
    latents = torch.randn(len(labels), sum(sizes), generator=random, device=device).to(labels.device)
    latents[:, sizes[0] :] *= labels.unsqueeze(1).to(latents.dtype)
    return latents


def typical(latents: Latents, labels: Labels, sizes: tuple[int, int]) -> Latents:
    """Latents of the same directions that might have been drawn for images of these classes: z1 and z2 each of the
    length √n that n numbers from N(0, 1) nearly have, z2 zeros for class 0."""
    z1, z2 = (
        part * (part.shape[1] / (part.square().sum(1, keepdim=True) + 1e-8)).sqrt() for part in latents.split(sizes, 1)
    )
    return torch.cat([z1, z2 * labels.unsqueeze(1)], 1)


def _doubling(dims: int, inputs: int, outputs: int, kernel: int) -> nn.Module:
    """A transposed convolution of stride 2 without bias or frame."""
    if dims == 2:
        return Doubling(inputs, outputs, kernel, bias=False)
    return UPCONVOLUTION[dims](inputs, outputs, kernel, stride=2, bias=False)
