"""Guided backpropagation (Springenberg et al., 2015, section 3.4): a gradient without what speaks against the class.

Every ReLU, the one between the dense layers included, passes a gradient back only where both its input and the gradient
are positive. VA-GAN (Baumgartner et al., 2018) compares with it in Tables 1 and 2, by absolute value.
"""

import warnings

from captum.attr import GuidedBackprop
from torch import nn

from evidence.networks.log_odds import LogOdds
from evidence.shapes import Images, Maps


def attribute(images: Images, classifier: nn.Module, *, label: int = 1) -> Maps:
    """Absolute guided gradient of the log-odds, summed over channels.

    VA-GAN's code starts from the probability. All rules on the way are positively homogeneous, so the factor p(1 - p)
    between the two scores scales a map as a whole, unless it underflows.

    Args:
        label: class whose evidence is sought.
    """
    pixels = images.detach().requires_grad_()  # captum would set the flag on the caller's tensor
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks")  # captum takes them away again, also after an error
        guided = GuidedBackprop(LogOdds(classifier, label)).attribute(pixels)
    return guided.abs().sum(1, keepdim=True)
