"""medXGAN's maps: how an image differs from its negative, and where that matters on the way between the two
(Dravid et al., CVPR-W 2022, section 3).

The way leads through images, from G(z1, 0) to G(z1, z2), with z2 growing evenly; g is the gradient of the classifier's
probability of class 1 by the pixels. Maps, channels summed (the released code weights them by luma):

``difference``   G(z1, z2) - G(z1, 0)
``accumulated``  mean over the way of |x - G(z1, 0)|  (Figure 5)
``lig``          the difference, times the mean of g   (latent integrated gradients, equation 6)
``path``         the sum of g times each piece of the way, by the trapezoidal rule: ours. As the way is not straight,
                 only this one sums to what the probability gains; ``lig`` takes the pieces for equal.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from evidence.attribution.counterfactual import Slope, probability_of
from evidence.errors import BadInput
from evidence.networks.latent import Latents
from evidence.shapes import Images, ManyMaps

MAPS = ("difference", "accumulated", "lig", "path")


def attribute(
    images: Images,
    generator: nn.Module,
    classifier: nn.Module,
    latents: Latents,
    *,
    steps: int = 51,
    output: Literal["class 1", "decided"] = "class 1",
) -> tuple[ManyMaps, dict[str, Tensor]]:
    """The four maps of each image, signed but for ``accumulated``.

    Columns: ``negative`` and ``positive``, the classifier's probability of class 1 at both ends; ``completeness`` and
    ``path_completeness``, how far the sums of ``lig`` and ``path`` are from what it gains.

    Args:
        steps: images on the way, both ends included. Released: 11, and 101 in the demonstration.
        output: whose probability's gradient g is: that of class 1 or, as released, of the class that is decided for at
            each place, whose g is that of class 1 turned round before the way crosses a half.
    """
    if steps < 2:
        raise BadInput(f"a way has two ends, so steps starts at 2, not {steps}")
    slope = probability_of(classifier) if output == "class 1" else decided_of(probability_of(classifier))
    origin = generator.negative(latents)
    with torch.no_grad():
        first = last = generator(origin)
        before, earlier = slope(first)
        value, gradient = before, earlier
        total, accumulated, path = gradient.clone(), torch.zeros_like(first), torch.zeros_like(first)
        for number in range(1, steps):
            here = generator(origin.lerp(latents, number / (steps - 1)))
            value, gradient = slope(here)
            total += gradient
            accumulated += (here - first).abs() / (steps - 1)
            path += (gradient + earlier) / 2 * (here - last)
            last, earlier = here, gradient
    difference = last - first
    maps = [difference, accumulated, difference * total / steps, path]
    gain = value.double() - before.double()
    columns = {"negative": before, "positive": value}
    for name, found in (("completeness", maps[2]), ("path_completeness", maps[3])):
        columns[name] = found.double().flatten(1).sum(1) - gain
    return torch.cat([each.sum(1, keepdim=True) for each in maps], 1), columns


def decided_of(slope: Slope) -> Slope:
    """The probability of class 1, and the gradient of that of the class which is decided for."""

    def of(images: Images) -> tuple[Tensor, Images]:
        value, gradient = slope(images)
        return value, torch.where((value >= 0.5).view(-1, *(1,) * (images.dim() - 1)), gradient, -gradient)

    return of
