"""Grad-CAM (Selvaraju et al., 2017, section 3): features of the last stage, weighted by their mean gradient.

Charachon et al. (2021) compare with it in Tables 1 and 2.
"""

import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn.functional import interpolate

from evidence.errors import BadInput
from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, Maps, Values

MODE = {2: "bilinear", 3: "trilinear"}


class Decided(nn.Module):
    """The log-odds of the class that is decided for."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.log_odds = LogOdds(classifier, 1)

    def forward(self, images: Images) -> Values:
        return self.log_odds(images).abs()


def attribute(images: Images, classifier: nn.Module) -> Maps:
    """The positive part of Σ_k w_k A_k for the class that the classifier decides for, enlarged linearly to the image.

    A are the outputs of the classifier's last stage of convolutions, w_k the mean over space of the gradient of the
    decided class's log-odds by A_k. With one number for two classes its sign matters: the map of class 0 is that of
    the log-odds turned round.
    """
    if not hasattr(classifier, "last_stage"):
        raise BadInput(f"a {type(classifier).__name__} does not say which is its last stage of convolutions")
    with torch.enable_grad():
        pixels = images.detach().requires_grad_()  # frozen weights alone would give the stage no gradient
        cells = LayerGradCam(Decided(classifier), classifier.last_stage).attribute(pixels)
    return interpolate(cells.clamp(min=0).detach(), images.shape[2:], mode=MODE[images.dim() - 2], align_corners=False)
