"""medXGAN's small classifier against its layers one by one, and against the sizes that the paper's code has."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from evidence.errors import BadInput
from evidence.networks.lean import folded
from evidence.networks.simple_cnn import SimpleCNN

SMALL = {"size": (20, 28), "channels": 2, "widths": (3, 4), "kernels": (3, 4)}


def trained(**options):
    """A network whose normalisation is no identity."""
    torch.manual_seed(0)
    network = SimpleCNN(**options)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.weight, 1, 0.3)
            nn.init.normal_(layer.bias)
    return network.eval()


def test_it_has_the_released_parameters_and_features():
    network = SimpleCNN(size=(64, 64))
    assert sum(p.numel() for p in network.parameters()) == 56_914
    features = [torch.zeros(2, 3, 64, 64)]
    for layer in network.trunk:
        features.append(layer(features[-1]))
    sides = [tuple(each.shape[1:]) for each in features]
    assert list(dict.fromkeys(sides[1:])) == [
        (16, 62, 62), (16, 31, 31), (32, 26, 26), (32, 13, 13), (32, 8, 8), (32, 4, 4)
    ]  # fmt: skip
    assert network.head.in_features == 512


def test_normalised_is_what_relu_left():
    network = trained(**SMALL)
    images = torch.rand(3, 2, 20, 28)
    x = images
    for name in ("0", "5"):
        convolution, norm = network.trunk.get_submodule(name), network.trunk.get_submodule(str(int(name) + 2))
        x = functional.conv2d(x, convolution.weight).clamp(min=0)
        mean, variance, scale, shift = (
            values.view(1, -1, 1, 1) for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        x = (x - mean) / (variance + 1e-5).sqrt() * scale + shift
        x = functional.max_pool2d(x, 2, ceil_mode=True)
    expected = x.flatten(1) @ network.head.weight.T + network.head.bias
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_training_leaves_out_single_numbers_and_not_whole_channels():
    torch.manual_seed(0)
    network = SimpleCNN(size=(64, 64)).train()
    features = network.trunk(torch.rand(8, 3, 64, 64))
    assert float((features == 0).float().mean()) == pytest.approx(0.2, abs=0.03)
    assert not (features == 0).flatten(2).all(2).any()


def test_its_last_stage_ends_in_front_of_the_dense_layer():
    network, kept = trained(**SMALL), []
    images = torch.rand(2, 2, 20, 28)
    network.last_stage.register_forward_hook(lambda module, inputs, output: kept.append(output))
    torch.testing.assert_close(network(images), network.head(kept[0].flatten(1)))


def test_folding_leaves_the_function():
    """There is nothing to fold: no normalisation follows a convolution."""
    network, images = trained(**SMALL), torch.rand(2, 2, 20, 28)
    torch.testing.assert_close(folded(network)(images), network(images))


def test_volumes():
    network = trained(size=(16, 32, 24), channels=1, widths=(2, 3), kernels=(3, 4))
    assert network(torch.rand(2, 1, 16, 32, 24)).shape == (2, 2)


@pytest.mark.parametrize("size", [(64, 32), (16, 64), (2, 64), (64, 64, 20)])
def test_too_small_an_image(size):
    with pytest.raises(BadInput, match=f"images of {'×'.join(map(str, size))} are too small"):
        SimpleCNN(size=size)


def test_the_smallest_image():
    """Backwards: 1 place in front of the last pool, 6 of its convolution, 11, for a pool rounds up, 16, 31, 33."""
    assert SimpleCNN(size=(33, 64), channels=1).eval()(torch.rand(2, 1, 33, 64)).shape == (2, 2)


def test_a_kernel_for_each_width():
    with pytest.raises(BadInput, match="kernels: 2 of them for 3 widths"):
        SimpleCNN(size=(64, 64), kernels=(3, 6))
