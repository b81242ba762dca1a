"""The map of a trained mask generator (Dabkowski & Gal, 2017): the region that decides, drawn in one pass.

Charachon et al. (2021) compare with it in Tables 1 and 2.
"""

import torch
from torch import nn

from evidence.errors import BadInput
from evidence.networks.log_odds import LogOdds
from evidence.networks.mask import MaskGenerator
from evidence.shapes import Images, Maps, Values


@torch.no_grad()
def attribute(images: Images, generator: nn.Module, classifier: nn.Module) -> tuple[Maps, dict[str, Values]]:
    """The mask in [0, 1] for the class that the classifier decides for. The column ``area`` is its mean."""
    if not isinstance(generator, MaskGenerator):
        raise BadInput(f"this map needs a mask generator, not a {type(generator).__name__}; train mask_generator")
    decided = LogOdds(classifier, 1)(images) >= 0
    masks = generator(classifier.pyramid(images), decided.long(), images.shape[2:])
    return masks, {"area": masks.flatten(1).mean(1)}
