"""What a classifier says of one class as a number, the score that gradients are taken of."""

import torch
from torch import nn
from torch.nn.functional import logsigmoid

from evidence.shapes import Images, Values


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
