"""CyCE's, SyCE's and SAGen's networks against the sizes of the released ones, and the ways that they lay out."""

import pytest
import torch
from torch.nn import functional

from evidence.errors import BadInput
from evidence.networks.translators import Affine, Cut, Discriminator, Pair, ResidualUNet, Twin

AT_224 = (16, 32, 64, 128, 256)


def on_meta(network, **options):
    with torch.device("meta"):
        return network(**options)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def statistics(module):
    """What the released files hold besides: a running mean and variance for each normalised channel."""
    return sum(2 * layer.scale.numel() for layer in module.modules() if isinstance(layer, Affine))


@pytest.mark.parametrize(
    ("widths", "trainable", "stored"), [((16, 32, 64), 204_499, 205_557), (AT_224, 3_436_243, None)]
)
def test_a_generator_has_the_parameters_of_the_release(widths, trainable, stored):
    pair = on_meta(Pair, symmetric=True, widths=widths)
    for generator in pair.generators:
        assert parameters(generator) == trainable
        if stored:
            assert parameters(generator) + statistics(generator) == stored


def test_the_shared_generator_has_the_parameters_of_the_release():
    twin = on_meta(Twin)
    assert parameters(twin) == 232_244
    assert parameters(twin) + statistics(twin) == 233_302


@pytest.mark.parametrize(
    ("size", "widths", "count"),
    [((28, 28), (32, 64, 96), 204_961), ((224, 224), (32, 64, 128, 256, 256), 2_364_385)],
)
def test_a_discriminator_has_the_parameters_of_the_release(size, widths, count):
    network = on_meta(Discriminator, size=size, widths=widths)
    assert parameters(network) == count
    assert network(torch.empty(3, 1, *size, device="meta")).shape == (3,)


@pytest.fixture
def small():
    def make(network, **options):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = network(**{"widths": (2, 4, 6), **options})
        for p in made.parameters():  # away from the start, where all biases are zero
            p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
        return made.eval()

    return make


def noise(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("shape", [(1, 16, 24), (2, 8, 16, 12)])
def test_images_of_any_shape_come_back_in_their_range(small, shape):
    images = noise(3, *shape)
    options = {"channels": shape[0], "spatial_dims": len(shape) - 1, "low": 0.25, "high": 0.75}
    pair, twin = small(Pair, symmetric=True, **options), small(Twin, **options)
    judge = small(Discriminator, size=shape[1:], channels=shape[0])
    for found in (*pair.path(images, torch.tensor([0, 1, 0])), *twin.path(images, torch.tensor([0, 1, 0]))):
        assert found.shape == images.shape
        assert found.min() >= 0.25
        assert found.max() <= 0.75
    assert judge(images).shape == (3,)


def test_each_image_takes_the_generator_of_its_class(small):
    images, labels = noise(4, 1, 16, 24), torch.tensor([1, 0, 0, 1])
    for symmetric in (False, True):
        pair = small(Pair, symmetric=symmetric)
        start, adversary = pair.path(images, labels)
        for row, label in enumerate(labels.tolist()):
            one = images[row : row + 1]
            other = pair.generators[label](one).clamp(0, 1)
            torch.testing.assert_close(adversary[row : row + 1], other)
            stable = pair.generators[label](other).clamp(0, 1) if symmetric else one
            torch.testing.assert_close(start[row : row + 1], stable)
        again = pair.path(images[:1], labels[:1])  # one class alone, the other's generator without work
        torch.testing.assert_close(again[1], adversary[:1])


def test_a_residual_generator_starts_from_the_image_and_draws_its_change(small):
    images = noise(3, 1, 16, 24)
    for network in (Pair(symmetric=True, residual=True), Twin(residual=True)):
        for end in network.path(images, torch.tensor([0, 1, 0])):
            torch.testing.assert_close(end, images, rtol=0, atol=0)
    drawing, changing = small(Pair, symmetric=False), small(Pair, symmetric=False, residual=True)
    changing.load_state_dict(drawing.state_dict())
    drawn = drawing.generators[0](images)
    torch.testing.assert_close(changing.across(images, 0), (images + drawn).clamp(0, 1))
    drawing, changing = small(Twin), small(Twin, residual=True)
    changing.load_state_dict(drawing.state_dict())
    drawn = drawing.adversary(drawing.trunk(images))
    torch.testing.assert_close(changing(images)[1], (images + drawn).clamp(0, 1))


def test_the_skip_stands_first_and_what_comes_up_is_the_nearest_pixel():
    trunk = ResidualUNet(1, (2, 3), 2)
    images = noise(1, 1, 4, 6)
    found, skip = trunk(images), trunk.entry(images)
    torch.testing.assert_close(found[:, :2], skip)
    for corner in ((0, 1), (1, 0), (1, 1)):
        torch.testing.assert_close(found[:, 2:, corner[0] :: 2, corner[1] :: 2], found[:, 2:, ::2, ::2])


def unit_twin(layers, x):
    """Affine map, ReLU and convolution, in this order, by torch's functions."""
    affine, _, convolution = layers
    x = (x * affine.scale + affine.shift).clamp(min=0)
    return functional.conv2d(x, convolution.weight, convolution.bias, padding=1)


def units_twin(units, x):
    for layers in units:
        x = unit_twin(layers, x)
    return x


def test_the_trunk_is_that_of_the_release_layer_by_layer(small):
    """Two units; to each width a unit and a pool, and three units added; up by two units and the nearest pixel."""
    trunk = small(Twin).trunk  # three widths
    images = noise(2, 1, 8, 12)
    first = units_twin(trunk.entry, images)
    levels = [first]
    for down, residual in zip(trunk.downs, trunk.residuals, strict=True):
        pooled = functional.max_pool2d(unit_twin(down[0], levels[-1]), 2)
        levels.append(pooled + units_twin(residual, pooled))
    middle, lowest = levels[1:]
    up = units_twin(trunk.ups[0], lowest).repeat_interleave(2, 2).repeat_interleave(2, 3)
    up = units_twin(trunk.ups[1], torch.cat([middle, up], 1)).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(trunk(images), torch.cat([first, up], 1))


def test_a_discriminator_is_that_of_the_release_layer_by_layer(small):
    """Leaky ReLU in front of each convolution, two of these a level, the second with stride 2; a dense layer."""
    network, images = small(Discriminator, size=(6, 10)), noise(2, 1, 6, 10)
    x = images
    for i in range(0, 12, 4):
        for place, stride in ((i + 1, 1), (i + 3, 2)):
            layer = network.layers[place]
            x = functional.conv2d(functional.leaky_relu(x, 0.3), layer.weight, layer.bias, stride=stride, padding=1)
    dense = network.layers[-1]
    torch.testing.assert_close(network(images), x.flatten(1) @ dense.weight[0] + dense.bias)


def test_weights_are_glorots():
    twin = Twin(widths=(16, 32, 64))
    for name, p in twin.requires_grad_(False).named_parameters():
        if name.endswith("weight"):
            fan = p[0].numel() + p.shape[0] * p[0, 0].numel()
            assert p.abs().max() <= (6 / fan) ** 0.5
            assert p.std() == pytest.approx((2 / fan) ** 0.5, rel=0.35)
        else:
            assert set(p.unique().tolist()) <= {0.0, 1.0}


def test_sizes_that_cannot_be_halved_are_refused():
    with pytest.raises(BadInput, match="sizes divisible by 4, not 16×22"):
        Pair(symmetric=False).path(noise(1, 1, 16, 22), torch.tensor([0]))


def test_what_is_cut_is_clamped_and_learns_where_that_leads_back():
    values = torch.tensor([-0.5, -0.5, 0.5, 0.5, 1.5, 1.5], dtype=torch.float64, requires_grad=True)
    found = Cut.apply(values, 0.0, 1.0)
    assert torch.equal(found, values.clamp(0, 1))
    slopes = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    found.backward(slopes)
    assert values.grad.tolist() == [-1.0, 0.0, -1.0, 1.0, 0.0, 1.0]


def test_a_generator_that_draws_all_black_still_learns():
    torch.manual_seed(0)
    pair = Pair(symmetric=True, widths=(2, 4), residual=True)
    images = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        pair.generators[0][-1].bias.fill_(-2.0)
    optimiser = torch.optim.Adam(pair.parameters(), lr=0.1)
    assert not pair.across(images, 0).any()
    for _ in range(100):
        optimiser.zero_grad()
        loss = (pair.across(images, 0) - images).abs().mean()
        loss.backward()
        optimiser.step()
    assert loss < 0.05
