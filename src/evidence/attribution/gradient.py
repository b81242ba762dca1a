"""Backpropagation: how the class score changes with each pixel (Simonyan et al., 2014, section 3).

VA-GAN's released code has it, without a number in the paper. The score that its relatives share is defined here too.
"""

import torch
from captum.attr import Saliency
from torch import nn
from torch.nn.functional import logsigmoid

from evidence.shapes import Images, Maps, Values


class LogOdds(nn.Module):
    """log p/(1 - p) of one class, taken from the logits; with two classes their difference.

    Its gradient is that of the probability p divided by one number an image, p(1 - p): the same map up to scale, and
    still a map where a confident classifier makes p(1 - p) underflow.
    """

    def __init__(self, classifier: nn.Module, label: int):
        super().__init__()
        self.classifier, self.label = classifier, label

    def forward(self, images: Images) -> Values:
        logits = self.classifier(images)
        others = logits.clone()
        others[:, self.label] = -torch.inf
        return logits[:, self.label] - others.logsumexp(1)

    def probability(self, images: Images) -> Values:
        """The softmax's p, written so that its derivative p(1 - p) keeps its digits where p itself rounds to 1."""
        return logsigmoid(self(images)).exp()


def attribute(images: Images, classifier: nn.Module, *, label: int = 1) -> Maps:
    """Absolute gradient of the log-odds, summed over channels.

    Args:
        label: class whose evidence is sought.
    """
    pixels = images.detach().requires_grad_()  # captum would set the flag on the caller's tensor
    return Saliency(LogOdds(classifier, label)).attribute(pixels, abs=True).sum(1, keepdim=True)
