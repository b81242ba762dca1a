"""Adversarial generation and path attributions in one (Charachon et al., 2021): where an image differs from its
adversary, and where that difference matters to the classifier.

The way leads straight from x0 to the adversary x_a, with d = x_a - x0; x0 is the image (CyCE) or its stable image
(SyCE, SAGen). g is the gradient of the classifier's probability. Maps, all of them non-negative:

``difference``  E         |d|                       (equations 1 and 2)
``v1``          E_FI^v1   d² · |mean of g|          (equation 4, F the product)
``v2``          E_FI^v2   d² · mean of |g|          (equations 4 and 6)
``v2k``         E_FI,k^v2 v2, smoothed              (equation 5: as convolution is linear, once after the mean)
"""

from collections.abc import Callable

import torch
from torch import nn

from evidence.errors import BadInput
from evidence.networks.filters import gaussian
from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, ManyMaps, Values

MAPS = ("difference", "v1", "v2", "v2k")
POINTS = {"cpu": 16, "cuda": 64}  # of ways, differentiated at once; no result depends on it
TAPS = 29  # of the Gaussian: the authors' kernel of size 28 has 29

Slope = Callable[[Images], tuple[Values, Images]]  # values at images, and their gradients


def attribute(
    images: Images, generator: nn.Module, classifier: nn.Module, *, steps: int = 50, sigma: float = 2.0
) -> tuple[ManyMaps, dict[str, Values]]:
    """The four maps of each image, from one sweep of gradients along its way.

    Columns: the classifier's probability of class 1 at the image (``before``), at the start of the way (``start``) and
    at its end (``adversary``); ``completeness``, how far Σ d · mean g is from what the way changes, which says how well
    so many steps integrate; ``residue``, the mean |x - x0|.

    Args:
        steps: gradients on the way, at the middles of as many equal parts.
        sigma: standard deviation of the smoothing in pixels; 0 for none. The paper calls its 2 a variance, the authors'
            code takes a standard deviation.
    """
    if steps < 1:
        raise BadInput(f"the way to an adversary needs at least 1 step, not {steps}; the paper takes 50")
    start, change, columns = ends(images, generator, classifier)
    mean, mean_size = sweep(probability_of(classifier), start, change, steps)
    gain = (change * mean).double().flatten(1).sum(1)
    columns["completeness"] = gain - (columns["adversary"].double() - columns["start"].double())
    return weighted(change, mean, mean_size, sigma), columns


@torch.no_grad()
def ends(images: Images, generator: nn.Module, classifier: nn.Module) -> tuple[Images, Images, dict[str, Values]]:
    """x0 and d of each image's way, and what the classifier says at its ends: all columns but ``completeness``."""
    if not hasattr(generator, "path"):
        raise BadInput(
            f"a {type(generator).__name__} makes no adversaries; train cyce, syce or sagen for the generator"
        )
    probability = LogOdds(classifier, 1).probability
    before = probability(images)
    start, adversary = generator.path(images, (before >= 0.5).long())
    columns = {
        "before": before,
        "start": probability(start),
        "adversary": probability(adversary),
        "residue": (images - start).abs().flatten(1).mean(1),
    }
    return start, adversary - start, columns


def weighted(change: Images, mean: Images, mean_size: Images, sigma: float) -> ManyMaps:
    """The maps of d, the mean of g and the mean of |g|; channels are summed."""
    square = change.square()
    maps = [change.abs(), square * mean.abs(), square * mean_size]
    maps = [each.sum(1, keepdim=True) for each in maps]
    return torch.cat([*maps, gaussian(maps[-1], sigma, taps=TAPS)], dim=1)


def sweep(slope: Slope, start: Images, change: Images, steps: int, points: int = 0) -> tuple[Images, Images]:
    """Means of the gradient and of its absolute value over the way's middles, start + (m + 1/2)/steps · change.

    Images and steps are one long batch, cut into chunks of ``points``; a chunk may end in the middle of an image.
    """
    mean, mean_size = torch.zeros_like(start), torch.zeros_like(start)
    every = torch.arange(len(start) * steps, device=start.device)
    for chunk in every.split(points or POINTS.get(start.device.type, 64)):
        image, step = chunk // steps, chunk % steps
        way = ((step + 0.5) / steps).to(start.dtype).view(-1, *(1,) * (start.dim() - 1))
        _, gradient = slope(torch.addcmul(start[image], change[image], way))
        for row in image.unique_consecutive().tolist():  # not index_add: its order of adding varies on a GPU
            of_row = gradient[image == row]
            mean[row] += of_row.sum(0) / steps
            mean_size[row] += of_row.abs().sum(0) / steps
    return mean, mean_size


def probability_of(classifier: nn.Module) -> Slope:
    """The probability of class 1 and its gradient by the pixels."""
    score = LogOdds(classifier, 1)

    @torch.enable_grad()
    def slope(images: Images) -> tuple[Values, Images]:
        pixels = images.detach().requires_grad_()
        values = score.probability(pixels)
        (gradient,) = torch.autograd.grad(values.sum(), pixels)  # a sum: images do not see each other
        return values.detach(), gradient

    return slope
