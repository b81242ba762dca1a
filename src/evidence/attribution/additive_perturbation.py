"""Additive perturbation: the least change of the image that talks the classifier out of the class.

After Fong & Vedaldi (2017, section 4), with an additive mask, as VA-GAN (Baumgartner et al., 2018) compares with it in
Tables 1 and 2. Its L1 term is a sum over pixels: on the synthetic data, removing a whole effect costs more than the
probability can repay, and only fragments survive.
"""

import torch
from torch import Tensor, nn

from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, Maps, Values


@torch.enable_grad()
def attribute(
    images: Images,
    classifier: nn.Module,
    *,
    label: int = 1,
    l1: float = 1e-2,
    tv: float = 1e-5,
    beta: float = 2.0,
    lr: float = 1e-2,
    iterations: int = 1500,
) -> tuple[Maps, dict[str, Values]]:
    """-m that minimises p(x + m) + l1 · Σ|m| + tv · Σ|∇m|^beta from m = 0 on, averaged over channels, signed.

    Images are optimised side by side: losses are summed, and Adam treats every pixel alone. Nothing keeps x + m within
    the range of intensities. The columns are the probability of the class before, p(x), and after, p(x + m), and
    ``changed``, the mean of |m|. Where p is certain, no pixel is worth its price, and what is left of m is how Adam
    swings about 0: up to half of ``lr``.

    Args:
        label: class to be talked out of.
        l1: weight of the sum of absolute changes.
        tv: weight of the total variation. Paper: 1e-5; default of the released code: 1e-1.
        beta: exponent of the total variation's gradient norm.
        lr: learning rate of Adam. Paper: 1e-2; default of the released code: 0.1.
        iterations: updates by Adam. Paper: 1500; default of the released code: 100.
    """
    probability = LogOdds(classifier, label).probability
    change = torch.zeros_like(images, requires_grad=True)
    optimiser = torch.optim.Adam([change], lr=lr, fused=True)
    for _ in range(iterations):
        optimiser.zero_grad()
        loss = probability(images + change).sum() + l1 * change.abs().sum() + tv * total_variation(change, beta)
        loss.backward(inputs=[change])  # none for the weights, should they not be frozen
        optimiser.step()
    with torch.no_grad():
        columns = {
            "probability_before": probability(images),
            "probability_after": probability(images + change),
            "changed": change.abs().flatten(1).mean(1),
        }
    return -change.detach().mean(1, keepdim=True), columns


def total_variation(images: Tensor, beta: float) -> Tensor:
    """Σ (Σ_axis d²)^(beta/2), d the difference to the next pixel along an axis, on the grid without its last pixels."""
    axes = range(2, images.dim())
    here = images[(..., *(slice(-1) for _ in axes))]
    squares = 0.0
    for axis in axes:
        there = (slice(1, None) if other == axis else slice(-1) for other in axes)
        squares = squares + (images[(..., *there)] - here).square()
    if beta != 2:  # a root has no derivative at 0, where the optimisation starts; the clamp's is 0
        squares = squares.clamp(min=1e-24).pow(beta / 2)
    return squares.sum()
