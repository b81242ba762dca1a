"""How an image's adversary differs from where its way starts: E of Charachon et al. (2021, equations 1 and 2), alone.

It is the map of SAGen, which no gradient weights; ``counterfactual`` draws it beside those that gradients weight.
"""

from torch import nn

from evidence.attribution import counterfactual
from evidence.shapes import Images, Maps, Values


def attribute(images: Images, generator: nn.Module, classifier: nn.Module) -> tuple[Maps, dict[str, Values]]:
    """|x_a - x0|, channels summed; non-negative. Columns: those of ``counterfactual`` but ``completeness``."""
    _, change, columns = counterfactual.ends(images, generator, classifier)
    return change.abs().sum(1, keepdim=True), columns
