"""Integrated gradients (Sundararajan et al., 2017, section 3): the gradient, averaged on the way from an empty image.

VA-GAN (Baumgartner et al., 2018) compares with it in Tables 1 and 2, by absolute value. Steps and baseline are those of
its released code; an image of zeros is mid-grey, because intensities lie in [-1, 1]. Charachon et al. (2021) compare
with it too, on intensities in [0, 1], where zeros are black. medXGAN (Dravid et al., 2022) takes black for empty in its
text, and zeros, mid-grey, in its released code.
"""

from typing import Literal

import torch
from captum.attr import IntegratedGradients
from torch import nn

from evidence.errors import BadInput
from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, Maps, Values


def attribute(
    images: Images,
    classifier: nn.Module,
    *,
    label: int = 1,
    steps: int = 100,
    rule: Literal["left", "middle"] = "left",
    baseline: float = 0.0,
) -> tuple[Maps, dict[str, Values]]:
    """|(x - x') · mean gradient of the probability on the way from x', an empty image, to x|, summed over channels.

    Of the probability, not of the log-odds: the ratio of the two gradients changes along the way. The column
    ``completeness`` is the sum of the signed attribution minus p(x) - p(x'), zero if the integral were exact.

    Args:
        label: class whose evidence is sought.
        steps: gradients on the way, at least 2. Charachon et al. (2021): 50.
        rule: where they are taken: at the ``left`` end of each of so many parts, as released, or in its ``middle``.
        baseline: intensity of the empty image; -1 is black where intensities lie in [-1, 1].
    """
    if steps < 2:
        raise BadInput(f"integrated gradients need at least 2 steps, not {steps}; the released code takes 100")
    probability = LogOdds(classifier, label).probability
    signed = IntegratedGradients(probability).attribute(
        images,
        baselines=baseline,
        n_steps=steps,
        method=f"riemann_{rule}",
        internal_batch_size=len(images),  # one step at a time: memory as for a gradient; on a CPU more is no faster
    )
    gain = probability(images).double() - probability(torch.full_like(images[:1], baseline)).double()
    completeness = signed.double().flatten(1).sum(1) - gain
    return signed.abs().sum(1, keepdim=True), {"completeness": completeness}
