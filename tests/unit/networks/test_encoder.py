"""The diverse encoder: the released size, its layers one by one, and sizes that cannot be halved."""

import pytest
import torch
from torch.nn import functional

from evidence.errors import BadInput
from evidence.networks.encoder import Encoder


def test_the_released_encoder():
    encoder = Encoder(size=(28, 28))
    assert sum(p.numel() for p in encoder.parameters()) == 502_816
    assert encoder.trunk(torch.zeros(2, 1, 28, 28)).shape == (2, 64, 3, 3)
    assert encoder(torch.zeros(2, 1, 28, 28)).shape == (2, 8, 100)


def test_that_of_faces():
    with torch.device("meta"):
        encoder = Encoder(size=(256, 256), channels=3, widths=(64, 128, 256, 256, 256, 256), codes=2, z=512)
        assert encoder(torch.empty(2, 3, 256, 256)).shape == (2, 2, 512)
    assert encoder.head.in_features == 4_096


def test_its_layers_one_by_one():
    torch.manual_seed(0)
    encoder, masked = Encoder(size=(13, 22), channels=2, widths=(3, 4), codes=3, z=5), torch.rand(4, 2, 13, 22)
    first, second = encoder.trunk[0].weight, encoder.trunk[2].weight
    x = functional.leaky_relu(functional.conv2d(masked, first, stride=2, padding=1), 0.2)
    x = functional.leaky_relu(functional.conv2d(x, second, stride=2, padding=1), 0.2)
    expected = x.flatten(1) @ encoder.head.weight.T + encoder.head.bias
    torch.testing.assert_close(encoder(masked), expected.view(4, 3, 5))


def test_sizes_that_cannot_be_halved_as_often_are_refused():
    with pytest.raises(BadInput, match="28×7 cannot be halved 3 times; take fewer widths"):
        Encoder(size=(28, 7))
