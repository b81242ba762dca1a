"""VA-GAN's own map: what the generator takes away to make the image healthy (Baumgartner et al., CVPR 2018)."""

from typing import Literal

import torch

from evidence.errors import BadInput
from evidence.networks.unet import MapGenerator
from evidence.shapes import Images, Maps


@torch.no_grad()
def attribute(images: Images, generator, *, map: Literal["effective", "raw"] = "effective") -> Maps:
    """Signed; positive where the generator removes brightness, which is where a bright effect was.

    Args:
        map: ``effective`` is x - y, the change that the squashed image shows; ``raw`` is -M(x), the generator's output.
    """
    if not isinstance(generator, MapGenerator):
        raise BadInput(f"VA-GAN's map needs a map generator, not a {type(generator).__name__}; train vagan for it")
    change = images - generator.heal(images) if map == "effective" else -generator(images)
    return change.mean(1, keepdim=True)
