"""Images turned, moved, scaled, mirrored and brightened at random, each by itself, on the device they are on.

Draws come from torch's own stream, which a training sets for each step.
"""

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import affine_grid, grid_sample, pad

from evidence import machine
from evidence.shapes import Images


@dataclass(frozen=True)
class Augmentation:
    """How far images are moved. Turning, and mirroring, are in the plane of the last two axes.

    Args:
        rotation: degrees to either side.
        shift: of an axis' length, to either side, along each axis.
        zoom: each axis is enlarged by a factor from 1 - zoom to 1 + zoom.
        horizontal, vertical: mirror along the last axis, or the last but one, half of the time.
        low, high: images are stretched to this range afterwards; a constant one becomes ``low``.
    """

    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    horizontal: bool = False
    vertical: bool = False
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def usual(cls, strength: float, **others: float | bool) -> "Augmentation":
        """What suits medical images: at strength 1, 10° of rotation, 5 % of shift, 10 % of zoom."""
        return cls(rotation=10 * strength, shift=0.05 * strength, zoom=0.1 * strength, **others)

    def __call__(self, images: Images) -> Images:
        """The images moved, by bilinear interpolation; what comes in from outside repeats the edge."""
        with machine.exactly():  # places in bfloat16 would be up to half a pixel off
            grid = affine_grid(self.matrices(images), list(images.shape), align_corners=False)
            moved = grid_sample(images, grid.to(images.dtype), padding_mode="border", align_corners=False)
        return stretched(moved, self.low, self.high)

    def matrices(self, images: Images) -> torch.Tensor:
        """For each image, where the pixels of its moved version come from: (batch, axis, axis + 1), x first."""
        count, dims = len(images), images.dim() - 2
        size = torch.tensor(images.shape[:1:-1], device=images.device, dtype=torch.float32)  # x first

        def drawn(*shape: int) -> torch.Tensor:
            return torch.rand(count, *shape, device=images.device) * 2 - 1

        angle = drawn() * math.radians(self.rotation)
        turn = torch.eye(dims, device=images.device).repeat(count, 1, 1)
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1] = angle.cos(), -angle.sin(), angle.sin(), angle.cos()
        factors = 1 + drawn(dims) * self.zoom
        for axis, mirrored in enumerate((self.horizontal, self.vertical)):
            flips = drawn() < 0
            if mirrored:
                factors[:, axis] = torch.where(flips, -factors[:, axis], factors[:, axis])
        moved = drawn(dims) * 2 * self.shift  # coordinates run from -1 to 1
        linear = turn / factors.unsqueeze(1)
        linear = linear * size / size.unsqueeze(1)  # angles are those of square pixels, coordinates of the whole axis
        return torch.cat([linear, moved.unsqueeze(2)], 2)


def mirrored(images: Images, *, horizontal: bool, vertical: bool) -> Images:
    """Each image mirrored along the last axis, or the last but one, half of the time; its numbers stay as they are."""
    for axis, asked in ((-1, horizontal), (-2, vertical)):
        if asked:
            flips = torch.rand(len(images), *(1,) * (images.dim() - 1), device=images.device) < 0.5
            images = torch.where(flips, images.flip(axis), images)
    return images


def shifted(images: Images, share: float, fill: float = 0.0) -> Images:
    """Each image moved along each axis by whole pixels, up to a share of the side; what comes in from outside is
    ``fill``. Gradients find their way back."""
    most = [int(share * side) for side in images.shape[2:]]
    moved = pad(images, [side for side in reversed(most) for _ in range(2)], value=fill)
    for axis, (side, extent) in enumerate(zip(most, images.shape[2:], strict=True), start=2):
        places = torch.randint(2 * side + 1, (len(images), 1), device=images.device)
        places = places + torch.arange(extent, device=images.device)
        along = [len(images), *(extent if other == axis else 1 for other in range(1, images.dim()))]
        moved = moved.gather(axis, places.view(along).expand(*moved.shape[:axis], extent, *moved.shape[axis + 1 :]))
    return moved


def brightened(images: Images, most: float) -> Images:
    """A number added to each image, from -most to most."""
    return images + (torch.rand(len(images), *(1,) * (images.dim() - 1), device=images.device) * 2 - 1) * most


def stretched(images: Images, low: float = 0.0, high: float = 1.0) -> Images:
    """Each image from ``low``, its darkest pixel, to ``high``, its brightest."""
    least, most = images.flatten(1).aminmax(dim=1)
    shape = (-1, *(1,) * (images.dim() - 1))
    least, extent = least.view(shape), (most - least).view(shape)
    return (images - least) / torch.where(extent > 0, extent, 1) * (high - low) + low
