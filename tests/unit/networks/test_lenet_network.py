"""The classifier of digits: the released size, its layers one by one, and what Grad-CAM sees."""

import pytest
import torch
from torch.nn import functional

from evidence.errors import BadInput
from evidence.networks.lenet import LeNet

SMALL = {"size": (20, 29), "channels": 2, "widths": (3, 4), "hidden": 6, "classes": 5}


def test_it_has_the_released_parameters_and_features():
    network = LeNet(size=(28, 28))
    assert sum(p.numel() for p in network.parameters()) == 431_080
    assert network.trunk(torch.zeros(2, 1, 28, 28)).shape == (2, 50, 4, 4)
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 10)


def test_its_layers_one_by_one():
    torch.manual_seed(0)
    network, images = LeNet(**SMALL), torch.randn(3, 2, 20, 29, requires_grad=True)
    x = images
    for place in (0, 3):
        layer = network.trunk[place]
        x = functional.max_pool2d(functional.conv2d(x, layer.weight, layer.bias).clamp(min=0), 2, ceil_mode=True)
    first, last = network.head[0], network.head[2]
    hidden = (x.flatten(1) @ first.weight.T + first.bias).clamp(min=0)
    slow, fast = hidden @ last.weight.T + last.bias, network(images)
    torch.testing.assert_close(fast, slow)
    assert fast.shape == (3, 5)
    by = (images, network.trunk[0].weight)
    gradients = (torch.autograd.grad(found.square().sum(), by, retain_graph=True) for found in (fast, slow))
    torch.testing.assert_close(*gradients)


def test_its_last_stage_ends_in_front_of_the_dense_layers():
    network, kept = LeNet(**SMALL), []
    images = torch.rand(2, 2, 20, 29)
    network.last_stage.register_forward_hook(lambda module, inputs, output: kept.append(output))
    torch.testing.assert_close(network(images), network.head(kept[0].flatten(1)))


def test_volumes():
    assert LeNet(size=(16, 32, 24), widths=(2, 3), hidden=4)(torch.rand(2, 1, 16, 32, 24)).shape == (2, 10)


def test_the_smallest_image():
    """Backwards: 1 place in front of the last pool, 5 of its convolution, 9 or 10 in front of the first pool, 13."""
    assert LeNet(size=(13, 40))(torch.rand(2, 1, 13, 40)).shape == (2, 10)
    with pytest.raises(BadInput, match="images of 12×40 are too small for 2 convolutions of 5"):
        LeNet(size=(12, 40))
