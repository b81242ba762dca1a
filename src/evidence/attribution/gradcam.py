"""Grad-CAM (Selvaraju et al., 2017, section 3): features of the last stage, weighted by their mean gradient.

Charachon et al. (2021) compare with it in Tables 1 and 2.
"""

from typing import Literal

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn.functional import interpolate, logsigmoid

from evidence.errors import BadInput
from evidence.networks.blocks import INTERPOLATION
from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, Maps, Values


class Decided(nn.Module):
    """The log-odds of the class that is decided for."""

    def __init__(self, classifier: nn.Module):
        super().__init__()
        self.log_odds = LogOdds(classifier, 1)

    def forward(self, images: Images) -> Values:
        return self.log_odds(images).abs()


def attribute(images: Images, classifier: nn.Module, *, weights: Literal["multiplied", "added"] = "multiplied") -> Maps:
    """The positive part of Σ_k w_k A_k for the class that the classifier decides for, enlarged linearly to the image.

    A are the outputs of the classifier's last stage of convolutions, w_k the mean over space of the gradient of the
    decided class's log-odds by A_k. With one number for two classes its sign matters: the map of class 0 is that of
    the log-odds turned round.

    Args:
        weights: what becomes of w_k. ``added``: the positive part of the mean of w_k + A_k, with the gradient of the
            decided class's probability, as in medXGAN's released code (Dravid et al., 2022). Where the classifier is
            certain w is next to nothing, and the map that of the mean activation, whichever class is decided for.
    """
    if not hasattr(classifier, "last_stage"):
        raise BadInput(
            f"a {type(classifier).__name__} does not say which is its last stage of convolutions; take a resnet"
        )
    of = {"multiplied": multiplied, "added": added}
    with torch.enable_grad():
        pixels = images.detach().requires_grad_()  # frozen weights alone would give the stage no gradient
        cells = of[weights](classifier, pixels)
    return interpolate(
        cells.clamp(min=0).detach(), images.shape[2:], mode=INTERPOLATION[images.dim() - 2], align_corners=False
    )


def multiplied(classifier: nn.Module, images: Images) -> Tensor:
    """Σ_k w_k A_k, (batch, 1, *cells)."""
    return LayerGradCam(Decided(classifier), classifier.last_stage).attribute(images)


def added(classifier: nn.Module, images: Images) -> Tensor:
    """The mean over channels of w_k + A_k, (batch, 1, *cells)."""
    kept: list[Tensor] = []
    with classifier.last_stage.register_forward_hook(lambda layer, given, found: kept.append(found)):
        decided = logsigmoid(Decided(classifier)(images)).exp()
    (cells,) = kept
    (slope,) = torch.autograd.grad(decided.sum(), cells)
    return (slope.flatten(2).mean(2).view(*slope.shape[:2], *(1,) * (images.dim() - 2)) + cells).mean(1, keepdim=True)
