"""The layers that networks share: what they do to sizes, what they start from, what they remember."""

import copy
import math

import pytest
import torch
from scipy.stats import truncnorm
from torch import nn

from evidence.networks.blocks import (
    MaxPool,
    Network,
    convolution,
    initialise,
    joined,
    normalisation,
    normalised,
    transposed,
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


@pytest.mark.parametrize(
    ("size", "pooled"),
    [((8, 12), (4, 6)), ((7, 8), (4, 4)), ((1, 3), (1, 2)), ((8, 10, 12), (4, 5, 6)), ((7, 8, 9), (4, 4, 5))],
)
def test_a_pool_takes_the_largest_of_two_and_rounds_odd_sizes_up(size, pooled):
    image = torch.arange(math.prod(size), dtype=torch.float32).reshape(1, 1, *size)
    found = MaxPool()(image)
    assert found.shape == (1, 1, *pooled)
    # Where values ascend along all axes, the largest is the last of its cell: pixel 2i + 1, or the last there is.
    places = [torch.arange(p).mul(2).add(1).clamp(max=s - 1) for p, s in zip(pooled, size, strict=True)]
    last = torch.meshgrid(*places, indexing="ij")
    assert torch.equal(found[0, 0], image[0, 0][last])


# --- what is ours for its speed or memory, against torch's own: value, gradient and the gradient of the gradient ----

TORCH_POOL = {2: nn.functional.max_pool2d, 3: nn.functional.max_pool3d}
TORCH_CONVOLUTION = {2: nn.functional.conv2d, 3: nn.functional.conv3d}

LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
LAYOUTS = [lambda x: x, lambda x: x.contiguous(memory_format=LAST[x.dim()])]


def numbers(*shape, seed=2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def twice(function, images):
    """A function's value, its gradient by the images, and the gradient of a function of that gradient."""
    images = images.clone(memory_format=torch.preserve_format).requires_grad_(True)
    value = function(images)
    (gradient,) = torch.autograd.grad((value**3).sum(), images, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), images)
    return value, gradient, second


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels last"])
@pytest.mark.parametrize("size", [(8, 12), (7, 9), (4, 6, 8), (5, 4, 7)])
def test_a_pool_is_that_of_torch_twice_differentiated(layout, size):
    images = layout(numbers(3, 4, *size))
    ours = twice(MaxPool(), images)
    theirs = twice(lambda x: TORCH_POOL[len(size)](x, 2, ceil_mode=True), images)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("size", [(7, 9), (4, 6, 8)])
def test_spreading_is_the_transpose_of_pooling(size):
    """⟨pool(x), y⟩ = ⟨x, spread(y)⟩, the places being those of x; and ties go where torch sends them, to the first."""
    images = numbers(2, 3, *size).round()
    pooled, places = MaxPool.places(images)
    values = numbers(*pooled.shape, seed=4)
    spread = MaxPool.spread(values, places, size)
    torch.testing.assert_close((pooled * values).sum(), (images * spread).sum())
    images.requires_grad_(True)
    (expected,) = torch.autograd.grad(TORCH_POOL[len(size)](images, 2, ceil_mode=True), images, values)
    assert torch.equal(spread, expected)


def test_a_pool_remembers_places_and_no_images():
    """Eight bytes a maximum, where torch's also keeps the four times larger input."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        MaxPool()(torch.randn(1, 2, 8, 8, requires_grad=True))
    assert [(tensor.dtype, tensor.shape) for tensor in kept] == [(torch.int64, (1, 2, 4, 4))]


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("size", [(6, 7), (4, 5, 6)])
def test_a_transposed_convolution_is_the_gradient_of_one(size, kernel):
    layer = convolution(len(size), 2, 3, kernel).double()
    nn.init.normal_(layer.bias)
    images, values = numbers(2, 2, *size).requires_grad_(True), numbers(2, 3, *size, seed=4)
    (expected,) = torch.autograd.grad(layer(images), images, values)
    torch.testing.assert_close(transposed(layer, values), expected)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels last"])
@pytest.mark.parametrize("size", [(4, 6), (4, 6, 8)])
def test_joining_is_concatenation_and_its_gradients_are_tensors_of_their_own(layout, size):
    whole = layout(numbers(2, 5, *size))
    ours = twice(lambda x: joined(2 * x[:, :3], x[:, 3:]), whole)
    theirs = twice(lambda x: torch.cat([2 * x[:, :3], x[:, 3:]], dim=1), whole)
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found, expected)
    parts = [layout(part.contiguous()).requires_grad_(True) for part in whole.split([3, 2], dim=1)]
    for part, gradient in zip(parts, torch.autograd.grad(joined(*parts), parts, whole), strict=True):
        assert gradient.stride() == part.stride()


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
