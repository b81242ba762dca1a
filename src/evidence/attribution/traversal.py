"""Eleven images from a negative to its positive, z2 from nothing to all of it (Dravid et al., CVPR-W 2022, Fig. 5)."""

import torch
from torch import Tensor, nn

from evidence.networks.filters import grey
from evidence.networks.latent import Latents
from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, ManyMaps

MAPS = ("f00", "f01", "f02", "f03", "f04", "f05", "f06", "f07", "f08", "f09", "f10")


@torch.no_grad()
def attribute(
    images: Images, generator: nn.Module, classifier: nn.Module, latents: Latents
) -> tuple[ManyMaps, dict[str, Tensor]]:
    """The maps are the frames G(z1, n/10 · z2), grey: the first is the negative, the last the reconstruction.

    Columns ``p00`` to ``p10``: the classifier's probability of class 1 for each.
    """
    probability = LogOdds(classifier, 1).probability
    negative, frames, columns = generator.negative(latents), [], {}
    for number, name in enumerate(MAPS):
        frame = generator(negative.lerp(latents, number / (len(MAPS) - 1)))
        frames.append(grey(frame))
        columns[name.replace("f", "p")] = probability(frame)
    return torch.cat(frames, 1), columns
