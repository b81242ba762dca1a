"""What an encoder of anchors makes of a part of an image: the part, and the images of its codes (David et al., 2019,
GANchors, Figures 6, 7 and 11)."""

from typing import Literal

import torch
from torch import Tensor, nn

from evidence import segmenting
from evidence.generating import frozen
from evidence.networks.filters import grey
from evidence.sampling import Subject, losses
from evidence.shapes import Images, ManyMaps

MAPS = ("masked", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
UNFOLDED = ("generator",)


@torch.no_grad()
def attribute(
    images: Images,
    generator: nn.Module,
    encoder: nn.Module,
    *,
    norm: Literal["batch", "running"] = "batch",
    segmentation: Literal["quickshift", "slic"] = "quickshift",
    segments: int = 8,
    compactness: float = 20.0,
    show: Literal["bright", "middle"] = "bright",
    shown: int = 2,
    low: float = -1.0,
    high: float = 1.0,
) -> tuple[ManyMaps, dict[str, Tensor]]:
    """The maps are pictures, grey: what the encoder is shown, dark elsewhere, and up to eight images of its codes; of
    an encoder of fewer these come again in turn.

    Columns: ``reconstruction``, the mean square difference of the codes' images on what was shown, and ``distance``,
    the mean distance of two codes.

    Args:
        norm: the generator's batch normalisation, with statistics of the ``batch`` of an image's codes, which are less
            varied than the codes of many images that it was trained with, or with its ``running`` ones.
        segmentation: how the image is cut.
        segments: how many there are to be.
        compactness: of SLIC.
        show: which segments the encoder is shown: the ``bright`` ones, or those in the ``middle``.
        shown: how many these are.
        low: intensity of the darkest pixel.
        high: intensity of the brightest.
    """
    generator, maps, columns = frozen(generator, norm), [], {"reconstruction": [], "distance": []}
    for image in images.split(1):
        picture = ((image[0] - low) / (high - low)).clamp(0, 1).cpu().numpy()
        subject = Subject(image, segmenting.cut(picture, segments, kind=segmentation, compactness=compactness))
        mask = subject.mask(segmenting.CHOICES[show](picture, subject.segments, shown))
        codes = encoder(mask * (image - low) / (high - low))[0]
        drawn = generator(codes)
        turns = torch.arange(len(MAPS) - 1, device=image.device) % len(codes)
        maps.append(torch.cat([grey(mask * image + (1 - mask) * low), grey(drawn)[turns]])[:, 0])
        columns["reconstruction"].append(losses(drawn, subject, mask).mean())
        columns["distance"].append(torch.pdist(codes).mean())
    return torch.stack(maps), {name: torch.stack(values) for name, values in columns.items()}
