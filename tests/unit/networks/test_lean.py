"""What is ours for its speed or memory against torch's own: values, gradients and gradients of gradients."""

import copy
import math

import pytest
import torch
from torch import nn

from evidence.networks.blocks import convolution
from evidence.networks.c3d import Classifier
from evidence.networks.lean import Doubling, Dropout, MaxPool, _any_order, chance, folded, joined, transposed
from evidence.networks.unet import MapGenerator

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


@pytest.mark.parametrize("ordered", [True, False])
def test_only_a_gpu_does_things_in_any_order_and_only_for_that_long(ordered):
    def flags():
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    before = flags()
    torch.use_deterministic_algorithms(ordered, warn_only=ordered)
    try:
        for on_gpu in (True, False):
            with _any_order(on_gpu):
                assert flags() == ((False, False) if on_gpu else (ordered, ordered))
            assert flags() == (ordered, ordered)
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


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


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("kind", ["dense", "cam", "convolution", "generator"])
def test_folding_leaves_the_function_and_no_normalisation(dims, kind):
    size = (16, 24, 16)[:dims]
    if kind == "generator":
        network = MapGenerator(width=2, spatial_dims=dims)
    else:
        network = Classifier(size=size, head=kind, width=2, hidden=3)
    network = network.double()
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    assert norms
    for norm in norms:
        for values in (norm.running_mean, norm.weight, norm.bias):
            nn.init.normal_(values)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    images = numbers(3, 1, *size)
    before = copy.deepcopy(network.state_dict())
    found = folded(network)
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in found.modules())
    torch.testing.assert_close(found(images), network.eval()(images), rtol=1e-9, atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_normalisation_of_something_else_stays():
    network = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(1), nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 2))
    images = numbers(3, 1, 3, 4)
    network.double()(images)
    torch.testing.assert_close(folded(network)(images), network.eval()(images))


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


def test_chance_is_uniform_in_every_byte_and_lies_as_the_images_do():
    torch.manual_seed(0)
    for place in LAYOUTS:
        found = chance(place(torch.zeros(64, 8, 50, 40)))
        assert found.stride() == place(torch.zeros(64, 8, 50, 40)).stride()
        rows = found.as_strided((found.numel(),), (1,)).view(-1, 8)
        for byte in rows.T:
            counts = torch.bincount(byte.long(), minlength=256).double()
            squares = ((counts - counts.mean()) ** 2 / counts.mean()).sum()
            assert 170 < squares < 360  # chi-square with 255 degrees of freedom, mean 255, deviation 23
    assert not torch.equal(chance(torch.zeros(100)), chance(torch.zeros(100)))
    assert chance(torch.zeros(13)).shape == (13,)


@pytest.mark.parametrize("place", LAYOUTS)
@pytest.mark.parametrize(("share", "exact"), [(0.5, 0.5), (0.25, 0.25), (0.3, 77 / 256)])
def test_dropout_leaves_out_a_share_and_scales_the_others(place, share, exact):
    torch.manual_seed(1)
    layer, images = Dropout(share), place(torch.rand(16, 8, 30, 40) + 1)
    images.requires_grad_()
    dropped = layer(images)
    kept = dropped != 0
    assert abs((~kept).float().mean().item() - exact) < 0.005
    assert torch.allclose(dropped[kept], images[kept] / (1 - exact))
    (slope,) = torch.autograd.grad(dropped.sum(), images)
    assert torch.allclose(slope, kept / (1 - exact))
    assert dropped.stride() == images.stride()
    assert layer.eval()(images) is images
    assert Dropout(0.0)(images) is images


def test_dropout_is_a_function_of_the_seed():
    images = torch.ones(4, 3, 7, 9)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(Dropout()(images))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("place", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 3), (5, 4)])
@pytest.mark.parametrize(("kernel", "bias"), [(5, False), (8, False), (4, True)])
def test_doubling_is_the_transposed_convolution_of_torch(kernel, bias, size, place):
    torch.manual_seed(0)
    layer = Doubling(3, 4, kernel, bias=bias).double()
    layer.weight.data = place(layer.weight.data)
    images = place(numbers(2, 3, *size)).requires_grad_()
    expected = nn.functional.conv_transpose2d(images, layer.weight, layer.bias, stride=2)
    found = layer(images)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected)
    weights = numbers(*expected.shape, seed=3)
    asked = [images, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad((found * weights).sin().sum(), asked),
        torch.autograd.grad((expected * weights).sin().sum(), asked),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_doubling_takes_in_the_normalisation_after_it():
    torch.manual_seed(0)
    network = nn.Sequential(Doubling(3, 4, 5, bias=False), nn.BatchNorm2d(4), nn.ReLU()).double()
    network(numbers(8, 3, 1, 1))
    network.eval()
    for size in ((1, 1), (3, 2)):
        images = numbers(2, 3, *size, seed=5)
        torch.testing.assert_close(folded(network)(images), network(images))
    assert isinstance(folded(network)[0], Doubling)
    assert isinstance(folded(network)[1], nn.Identity)
