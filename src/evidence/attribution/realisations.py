"""One z1, its negative and three of its positives (Dravid et al., CVPR-W 2022, Figure 3). They look at no image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from evidence.inverting import starts
from evidence.networks.filters import grey
from evidence.networks.log_odds import LogOdds
from evidence.seeds import stream
from evidence.shapes import Images, ManyMaps

MAPS = ("negative", "first", "second", "third")


@torch.no_grad()
def attribute(
    images: Images, generator: nn.Module, classifier: nn.Module, streams: Sequence[int]
) -> tuple[ManyMaps, dict[str, Tensor]]:
    """The maps are generated images, grey, one z1 for each explained image; of that nothing else is used.

    Columns ``p_negative`` to ``p_third``: the classifier's probability of class 1 for each.
    """
    probability = LogOdds(classifier, 1).probability
    z1 = starts(streams, generator, "normal", images.device)[:, : generator.sizes[0]]
    maps, columns = [], {}
    for name in MAPS:
        own = starts([stream(each, name) for each in streams], generator, "normal", images.device)
        latents = torch.cat([z1, own[:, generator.sizes[0] :]], 1)
        drawn = generator(generator.negative(latents) if name == "negative" else latents)
        maps.append(grey(drawn))
        columns[f"p_{name}"] = probability(drawn)
    return torch.cat(maps, 1), columns
