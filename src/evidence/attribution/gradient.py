"""Backpropagation: how the class score changes with each pixel (Simonyan et al., 2014, section 3).

VA-GAN's released code has it, without a number in the paper; Charachon et al. (2021) have it in Tables 1 and 2.
"""

from captum.attr import Saliency
from torch import nn

from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, Maps


def attribute(images: Images, classifier: nn.Module, *, label: int = 1) -> Maps:
    """Absolute gradient of the log-odds, summed over channels.

    Args:
        label: class whose evidence is sought.
    """
    pixels = images.detach().requires_grad_()  # captum would set the flag on the caller's tensor
    return Saliency(LogOdds(classifier, label)).attribute(pixels, abs=True).sum(1, keepdim=True)
