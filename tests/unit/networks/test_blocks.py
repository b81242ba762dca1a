"""The layers that networks share: what they do to sizes, what they start from, what they remember."""

import copy
import math

import pytest
import torch
from scipy.stats import truncnorm
from torch import nn

from evidence.networks.blocks import (
    Network,
    convolution,
    initialise,
    normalisation,
    normalised,
    upsampled,
)


@pytest.mark.parametrize("size", [(7, 8), (7, 8, 9)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_keeps_the_size(size, kernel):
    layer = convolution(len(size), 2, 3, kernel)
    assert layer(torch.zeros(1, 2, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("size", [(1, 2), (7, 8), (7, 8, 9), (1, 3, 2)])
def test_an_up_convolution_doubles_the_size(size):
    assert upsampled(len(size), 2, 3)(torch.ones(2, 2, *size)).shape == (2, 3, *(2 * s for s in size))


def test_in_place_is_the_same_network():
    plain, fast = normalised(2, 3, 4), normalised(2, 3, 4, inplace=True)
    fast.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 6, 6)
    found = [torch.autograd.grad(layer(images).square().sum(), list(layer.parameters())) for layer in (plain, fast)]
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (lambda: convolution(2, 48, 600), 9 * 48),
        (lambda: convolution(3, 16, 600), 27 * 16),
        (lambda: convolution(2, 512, 600, kernel=1), 512),
        (lambda: upsampled(2, 1000, 16)[0], 16 * 16),
        (lambda: upsampled(3, 300, 16)[0], 64 * 16),
        (lambda: initialise(nn.Linear(300, 900)), 300),
    ],
    ids=["convolution 2D", "convolution 3D", "1×1", "up-convolution 2D", "up-convolution 3D", "dense"],
)
def test_weights_start_as_a_normal_of_variance_2_6_over_fan_in_cut_at_two_sigmas(layer, fan_in):
    """Its deviation is 1.003·√(2 / fan_in). An up-convolution counts its outputs: k^d·C_out, as TensorFlow does."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = layer().weight.detach().double().flatten()
    sigma = math.sqrt(1.3 * 2 / fan_in)
    cut = truncnorm(-2, 2, scale=sigma)
    n, kurtosis = len(weights), float(cut.stats("k")) + 3
    assert cut.std() == pytest.approx(1.003 * math.sqrt(2 / fan_in), rel=5e-4)
    assert float(weights.std()) == pytest.approx(cut.std(), rel=5 * math.sqrt((kurtosis - 1) / (4 * n)))
    assert abs(float(weights.mean())) < 5 * cut.std() / math.sqrt(n)
    assert 1.99 * sigma < float(weights.abs().max()) <= 2 * sigma


def test_biases_start_at_zero_and_stand_only_where_no_normalisation_follows():
    assert not convolution(2, 3, 5).bias.any()
    for block in (normalised(2, 3, 5), normalised(3, 3, 5), upsampled(2, 3, 5), upsampled(3, 3, 5)):
        assert [type(layer).__name__.rstrip("23d") for layer in block[1:]] == ["BatchNorm", "ReLU"]
        assert block[0].bias is None


@pytest.mark.parametrize("size", [(7, 8), (7, 8, 9)])
def test_normalisation_has_the_constants_of_tensorflow(size):
    """Epsilon 1e-3; running averages keep 0.99 of themselves; statistics are over the batch and all spatial axes."""
    layer = normalisation(len(size), 2)
    images = torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(0)) * 3 + 1
    axes = (0, *range(2, images.dim()))
    mean, variance = images.mean(axes), images.var(axes, correction=0)
    shape = (-1, *(1 for _ in size))
    expected = (images - mean.view(shape)) / (variance.view(shape) + 1e-3).sqrt()
    torch.testing.assert_close(layer(images), expected)
    torch.testing.assert_close(layer.running_mean, 0.01 * mean)
    torch.testing.assert_close(layer.running_var, 0.99 + 0.01 * images.var(axes))


class Tiny(Network):
    def __init__(self, *, width: int = 2, size: tuple[int, ...] = (3, 4)):
        super().__init__()
        self.layer = nn.Linear(width, math.prod(size))


def test_a_network_remembers_the_words_it_was_made_with():
    assert Tiny().options == {}
    network = Tiny(size=(5, 7), width=3)
    assert network.options == {"size": (5, 7), "width": 3}
    assert "options" not in network.state_dict()


def test_a_copy_of_a_network_remembers_them_too():
    network = Tiny(width=3)
    again = copy.deepcopy(network)
    assert again.options == {"width": 3}
    assert again.layer.weight is not network.layer.weight
    torch.testing.assert_close(again.layer.weight, network.layer.weight, rtol=0, atol=0)


def test_a_network_takes_words_alone():
    with pytest.raises(TypeError):
        Tiny(3)
