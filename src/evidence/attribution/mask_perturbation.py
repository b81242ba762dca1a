"""Mask perturbation (Fong & Vedaldi, 2017, section 4): the smallest smooth region whose blurring talks the classifier
out of what it decided.

Charachon et al. (2021) compare with it in Tables 1 and 2; of its settings they give the sizes, the two filters and the
iterations. Weights are those of a public implementation, on means over pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from evidence.networks.blocks import INTERPOLATION
from evidence.networks.filters import gaussian
from evidence.networks.log_odds import LogOdds
from evidence.seeds import stream
from evidence.shapes import Images, Maps, Values


def attribute(
    images: Images,
    classifier: nn.Module,
    *,
    coarse: int = 4,
    smooth: float = 3.0,
    blur: float = 5.0,
    l1: float = 0.01,
    tv: float = 0.2,
    beta: float = 3.0,
    lr: float = 0.1,
    iterations: int = 150,
    jitter: int = 4,
) -> tuple[Maps, dict[str, Values]]:
    """1 - m, where m in [0, 1] minimises p_c(x·m + blurred x·(1 - m)) + l1 · mean(1 - m) + tv · mean |∇m|^beta.

    c is the class that the classifier decides for. m is drawn on a coarse grid, from all ones on, enlarged linearly and
    smoothed; images are optimised side by side. Columns: p_c of the image and of the masked one.

    Args:
        coarse: pixels of the image along a pixel of the mask. Paper: 4, of 224.
        smooth: standard deviation of the enlarged mask's filter, in pixels.
        blur: standard deviation of the filter that makes the blurred image, in pixels.
        l1: weight of the mask's area.
        tv: weight of its variation.
        beta: exponent of the variation.
        lr: learning rate of Adam.
        iterations: updates by Adam.
        jitter: image and mask are moved by up to so many pixels, around the border, before the classifier sees them.
    """
    space = images.shape[2:]
    log_odds = LogOdds(classifier, 1)
    with torch.no_grad():
        sign = torch.where(log_odds(images) >= 0, 1.0, -1.0)
        blurred = gaussian(images, blur, border="edge")
    mask = images.new_ones(len(images), 1, *(max(1, size // coarse) for size in space)).requires_grad_()
    optimiser = torch.optim.Adam([mask], lr=lr)
    random = torch.Generator().manual_seed(stream(0, "jitter"))  # moves are the same for every image and batch

    def enlarged() -> Tensor:
        return gaussian(
            interpolate(mask, space, mode=INTERPOLATION[len(space)], align_corners=False), smooth, border="edge"
        )

    def decided(kept: Tensor, move: list[int]) -> Values:
        mixed = torch.lerp(blurred, images, kept).roll(move, tuple(range(2, images.dim())))
        return (sign * log_odds(mixed)).sigmoid()

    with torch.enable_grad():
        for _ in range(iterations):
            optimiser.zero_grad(set_to_none=True)
            move = torch.randint(-jitter, jitter + 1, (len(space),), generator=random).tolist()
            each = l1 * (1 - mask).flatten(1).mean(1) + tv * variation(mask, beta) + decided(enlarged(), move)
            each.sum().backward(inputs=[mask])
            optimiser.step()
            with torch.no_grad():
                mask.clamp_(0, 1)
    with torch.no_grad():
        kept, still = enlarged(), [0] * len(space)
        columns = {"before": decided(torch.ones_like(kept), still), "after": decided(kept, still)}
    return (1 - kept).clamp(0, 1), columns


def variation(masks: Tensor, beta: float) -> Values:
    """Mean over neighbours of |difference|^beta, summed over axes, for each mask."""
    total = masks.new_zeros(len(masks))
    for axis in range(2, masks.dim()):
        if masks.shape[axis] > 1:
            total = total + masks.diff(dim=axis).abs().pow(beta).flatten(1).mean(1)
    return total
