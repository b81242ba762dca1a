"""The mask generator of Dabkowski & Gal (2017): a decoder on the features of the classifier that it explains."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from evidence.networks.blocks import CONVOLUTION, INTERPOLATION, NORMALISATION, Network
from evidence.shapes import Labels, Maps


class MaskGenerator(Network):
    """Masks in [0, 1], 1 where the class is, from features of which each has half the size of the one before.

    Each stage doubles the size by a normalised convolution and a shuffle of its channels, joins the features of that
    size and mixes both in a bottleneck. An embedding of the class gates the coarsest features. The last stage makes two
    channels a and b, the mask is |a| / (|a| + |b|), enlarged linearly where the finest features have half the image's
    size.

    Args:
        features: channels of the features, the finest first.
        spatial_dims: 2 or 3.
    """

    def __init__(self, *, features: tuple[int, ...], spatial_dims: int = 2):
        super().__init__()
        self.embedding = nn.Embedding(2, features[-1])
        stages = []
        below = features[-1]
        for channels in reversed(features[:-1]):
            stages.append(Stage(below, channels, spatial_dims))
            below = channels
        self.stages = nn.ModuleList(stages)
        self.last = CONVOLUTION[spatial_dims](below, 2, 1)

    def forward(self, features: list[Float[Tensor, "batch _ ..."]], labels: Labels, space: tuple[int, ...]) -> Maps:
        """The masks for these classes, in the size of the image; ``features`` are the classifier's ``pyramid``."""
        *finer, x = features
        gate = torch.einsum("bc,bc...->b...", self.embedding(labels.long()), x).sigmoid()
        x = x * gate.unsqueeze(1)
        for stage, skip in zip(self.stages, reversed(finer), strict=True):
            x = stage(x, skip)
        a, b = self.last(x).float().abs().split(1, dim=1)
        mask = a / (a + b + 1e-8)
        if mask.shape[2:] != space:
            mask = interpolate(mask, scale_factor=2.0, mode=INTERPOLATION[len(space)], align_corners=False)
        return cut(mask, space)


class Stage(nn.Module):
    """Twice the size, beside the features that the encoder had there."""

    def __init__(self, inputs: int, outputs: int, spatial_dims: int):
        super().__init__()
        conv, norm = CONVOLUTION[spatial_dims], NORMALISATION[spatial_dims]
        many = outputs * 2**spatial_dims
        self.enlarge = nn.Sequential(conv(inputs, many, 3, padding=1, bias=False), norm(many), nn.ReLU())
        narrow = max(1, outputs // 4)
        self.mix = nn.Sequential(
            conv(2 * outputs, narrow, 1, bias=False),
            norm(narrow),
            nn.ReLU(),
            conv(narrow, narrow, 3, padding=1, bias=False),
            norm(narrow),
            nn.ReLU(),
            conv(narrow, outputs, 1, bias=False),
            norm(outputs),
        )
        self.straight = nn.Sequential(conv(2 * outputs, outputs, 1, bias=False), norm(outputs))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        both = torch.cat([cut(shuffled(self.enlarge(x)), skip.shape[2:]), skip], dim=1)
        return torch.relu(self.straight(both) + self.mix(both))


def cut(images: Tensor, space: tuple[int, ...]) -> Tensor:
    """Without the last pixels of what an odd size, halved and rounded up, was doubled to."""
    return images[(..., *(slice(size) for size in space))]


def shuffled(images: Tensor) -> Tensor:
    """Channels to pixels, as PixelShuffle does: (batch, channel · 2^axes, *space) to (batch, channel, *2·space)."""
    dims = images.dim() - 2
    batch, _, *space = images.shape
    apart = images.reshape(batch, -1, *(2,) * dims, *space)
    order = [0, 1, *(axis for d in range(dims) for axis in (2 + dims + d, 2 + d))]
    return apart.permute(order).reshape(batch, -1, *(2 * size for size in space))
