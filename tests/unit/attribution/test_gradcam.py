"""Grad-CAM against class activation maps, which it generalises, and against its definition."""

import pytest
import torch
from torch.nn.functional import interpolate

from evidence.attribution.gradcam import attribute
from evidence.errors import BadInput
from evidence.networks.c3d import class_activation
from evidence.networks.log_odds import LogOdds


@pytest.fixture(params=["slice", "volume"])
def kind(request):
    return request.param


def enlarged(cells, images):
    mode = "bilinear" if images.dim() == 4 else "trilinear"
    return interpolate(cells, images.shape[2:], mode=mode, align_corners=False)


def test_behind_a_global_average_it_is_the_class_activation_map(kind, classifier_of, images_of):
    """The gradient of the log-odds by a cell is the difference of the two classes' weights over the number of cells."""
    network, images = classifier_of(kind, head="cam").eval(), images_of(kind)
    difference = class_activation(network, images, 1) - class_activation(network, images, 0)
    sign = LogOdds(network, 1)(images).sign().view(-1, *(1,) * (images.dim() - 1))
    cells = (sign * difference / difference[0].numel()).clamp(min=0)
    torch.testing.assert_close(attribute(images, network), enlarged(cells, images), rtol=1e-4, atol=1e-6)


def test_it_is_the_features_weighted_by_their_mean_gradient(kind, classifier_of, images_of):
    network, images = classifier_of(kind).eval(), images_of(kind)
    features = images
    for layer in network.trunk:
        features = layer(features)
        if layer is network.last_stage:
            kept = features = features.detach().requires_grad_()
    logits = network.head(features)
    decided = logits.argmax(1)
    odds = logits.gather(1, decided[:, None]).sum() - logits.gather(1, 1 - decided[:, None]).sum()
    (slope,) = torch.autograd.grad(odds, kept)
    weights = slope.flatten(2).mean(2).view(*slope.shape[:2], *(1,) * (images.dim() - 2))
    cells = (weights * kept).sum(1, keepdim=True).clamp(min=0).detach()
    torch.testing.assert_close(attribute(images, network), enlarged(cells, images), rtol=1e-4, atol=1e-6)


def test_the_other_class_is_explained_where_it_is_decided_for(classifier_of, images_of):
    """Swapping the two classes' logits changes the decision, not what it rests on."""
    network, images = classifier_of("slice", head="cam").eval(), images_of("slice")
    before = attribute(images, network)
    network.head.dense.weight.data = network.head.dense.weight.data.flip(0)
    torch.testing.assert_close(attribute(images, network), before)


def test_a_network_without_stages_is_refused(images_of):
    with pytest.raises(BadInput, match="a Flatten does not say which is its last stage"):
        attribute(images_of("slice"), torch.nn.Flatten())
