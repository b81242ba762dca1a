"""How much smaller a map is than integrated gradients of the same image (Dravid et al., CVPR-W 2022)."""

from collections.abc import Mapping

import numpy as np
import torch
from captum.attr import IntegratedGradients
from torch import nn

from evidence import machine
from evidence.errors import BadInput
from evidence.networks.lean import folded
from evidence.networks.log_odds import LogOdds
from evidence.progress import chunks
from evidence.shapes import Images, Maps, Values

BETTER = "lower"
RANGE = (0.0, np.inf)


def score(
    maps: Maps, images: Images, classifier: nn.Module, *, level: float = 0.1, steps: int = 51, baseline: float = -1.0
) -> Mapping[str, Values]:
    """``active``, the share of pixels where |v|, over its greatest in the map, reaches a level; ``reference``, the same
    of integrated gradients of p1 for the image itself; ``ratio``, the one over the other. Below 1 the map is smaller.

    It says how small a map is, not whether it is in the right place. The paper counts pixels that are not zero, for
    which the released code takes those that reach a tenth: next to none is exactly zero. The gradients are taken in the
    middle of each of so many steps and summed over channels with their signs, as medXGAN's maps are here (the released
    code weights channels by luma). A map that is zero
    everywhere has no share, and a classifier that ignores the image no reference: NaN.

    Args:
        level: of the greatest |v|, which a pixel has to reach.
        steps: gradients on the way from the baseline to the image. Released: 11, too few from black.
        baseline: intensity of the empty image. Paper: black; released: 0, mid-grey in [-1, 1].
    """
    if not 0 < level <= 1:
        raise BadInput(f"level: {level} is no share of the greatest value; take more than 0, and 1 at most")
    if steps < 2:
        raise BadInput(f"steps: integrated gradients need at least 2, not {steps}")
    classifier = machine.place(folded(classifier))
    integrated = IntegratedGradients(LogOdds(classifier, 1).probability)
    references = []
    with machine.evaluation(classifier), machine.exactly():
        for rows in chunks(len(images), 50, "integrating"):
            some = machine.to_device(torch.from_numpy(np.array(images[rows], np.float32)))
            signed = integrated.attribute(
                some,
                baselines=baseline,
                n_steps=steps,
                method="riemann_middle",
                internal_batch_size=len(some),  # one step at a time: memory as for a gradient
            )
            references.append(signed.sum(1, keepdim=True).detach().cpu().numpy())
    active, reference = (_reaching(values, level) for values in (maps, np.concatenate(references)))
    return {"ratio": active / reference, "active": active, "reference": reference}


def _reaching(maps: Maps, level: float) -> Values:
    """The share of each map's pixels that reach a level of its greatest; NaN where all are zero."""
    size = np.abs(np.asarray(maps, np.float64).reshape(len(maps), -1))
    greatest = size.max(1, keepdims=True)
    return np.where(greatest[:, 0] > 0, (size >= level * greatest).mean(1), np.nan)
