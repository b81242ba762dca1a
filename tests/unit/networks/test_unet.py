"""The map generator against the layer table of the released code."""

import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.networks.unet import MapGenerator

BATCH_NORM = (nn.BatchNorm2d, nn.BatchNorm3d)
SPACES = {2: (112, 112), 3: (128, 160, 112)}
SIZES = [(8, 16), (24, 40), (16, 24, 8)]


def on_meta(**options):
    with torch.device("meta"):
        return MapGenerator(**options)


@pytest.fixture
def made():
    def make(**options):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return MapGenerator(**options)

    return make


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2)).clamp(-1, 1)


@pytest.mark.parametrize(
    ("dims", "encoders", "ups", "decoders", "last", "total"),
    [
        (2, [2_512, 13_952, 55_552, 221_696], [32_800, 16_416, 8_224], [83_200, 23_168, 4_640], 145, 462_305),
        (3, [7_408, 41_600, 166_144, 664_064], [131_104, 65_568, 32_800], [249_088, 69_248, 13_856], 433, 1_441_313),
    ],
)
def test_it_has_the_parameters_of_the_release(dims, encoders, ups, decoders, last, total):
    """The up-convolutions with 16 outputs each are what decides: 64, 32 and 16 of them would make 609,377."""
    network = on_meta(spatial_dims=dims)

    def counts(modules):
        return [sum(p.numel() for p in module.parameters()) for module in modules]

    assert counts(network.encoders) == encoders
    assert counts(network.ups) == ups
    assert counts(network.decoders) == decoders
    assert counts([network.last, network]) == [last, total]


@pytest.mark.parametrize("dims", [2, 3])
def test_it_has_sixteen_normalisations_of_736_channels(dims):
    layers = [layer for layer in on_meta(spatial_dims=dims).modules() if isinstance(layer, BATCH_NORM)]
    assert (len(layers), sum(layer.num_features for layer in layers)) == (16, 736)
    assert all((layer.eps, layer.momentum) == (1e-3, 0.01) for layer in layers)


@pytest.mark.parametrize("dims", [2, 3])
def test_only_the_last_convolution_has_a_bias(dims):
    network = on_meta(spatial_dims=dims)
    kinds = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    biased = [layer for layer in network.modules() if isinstance(layer, kinds) and layer.bias is not None]
    assert biased == [network.last]


@pytest.mark.parametrize("dims", [2, 3])
def test_it_has_the_sizes_of_the_release(dims):
    network = on_meta(spatial_dims=dims)
    found = []
    for stage in (*network.encoders, *network.ups, *network.decoders, network.last):
        stage.register_forward_hook(lambda stage, given, made: found.append(tuple(made.shape[1:])))
    network(torch.empty(1, 1, *SPACES[dims], device="meta"))
    expected = [
        (channels, *(s // halving for s in SPACES[dims]))
        for channels, halving in (
            *((16, 1), (32, 2), (64, 4), (128, 8)),  # down
            *((16, 4), (64, 4), (16, 2), (32, 2), (16, 1), (16, 1), (1, 1)),  # an up-convolution and a decoder, up
        )
    ]
    assert found == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("training", [True, False])
def test_a_map_has_the_shape_of_its_image(made, size, channels, training):
    network = made(channels=channels, width=2, spatial_dims=len(size)).train(training)
    images = noise(2, channels, *size)
    assert network(images).shape == network.heal(images).shape == images.shape


@pytest.mark.parametrize("size", [(12, 16), (16, 20), (16, 8, 12)])
def test_sizes_that_three_pools_do_not_divide_are_refused(made, size):
    with pytest.raises(BadInput, match=f"divisible by 8, not {'×'.join(map(str, size))}; resize"):
        made(width=2, spatial_dims=len(size))(noise(1, 1, *size))


def test_what_is_sampled_up_stands_first_and_the_skip_second(made):
    """Without the first channels of each decoder nothing below the last level counts, and with them it does."""
    network, images = made(width=2).eval(), noise(1, 1, 16, 24)
    bottom = network.encoders[-1][0][0].weight
    first = network.decoders[-1][0].weight
    whole = network(images)
    with torch.no_grad():
        bottom.mul_(-1)
        assert not torch.equal(network(images), whole)
        first[:, :2] = 0
        cut = network(images)
        bottom.mul_(-1)
        assert torch.equal(network(images), cut)
        network.encoders[0][0][0].weight.mul_(-1)
        assert not torch.equal(network(images), cut)


def test_the_output_is_linear(made):
    network, images = made(width=2).eval(), noise(1, 1, 16, 24)
    before = network(images)
    with torch.no_grad():
        network.last.bias += 5
        torch.testing.assert_close(network(images), before + 5)
        network.last.bias -= 10
        torch.testing.assert_close(network(images), before - 5)


def test_all_parameters_take_part(made):
    network = made(width=2)
    network(noise(2, 1, 16, 24)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("size", SIZES)
def test_healing_adds_the_map_and_squashes_if_asked(made, size):
    images = noise(2, 1, *size)
    plain = made(width=2, spatial_dims=len(size), tanh=False).eval()
    squashed = made(width=2, spatial_dims=len(size)).eval()
    total = images + plain(images)
    torch.testing.assert_close(plain.heal(images), total)
    torch.testing.assert_close(squashed.heal(images), torch.tanh(total))
    assert not torch.equal(plain.heal(images), squashed.heal(images))


@pytest.mark.parametrize("training", [True, False])
def test_from_zero_nothing_changes(made, training):
    network, images = made(width=2, zero=True, tanh=False).train(training), noise(2, 1, 16, 24)
    assert not network(images).any()
    assert torch.equal(network.heal(images), images)
    squashed = made(width=2, zero=True).train(training)
    assert torch.equal(squashed.heal(images), images.tanh())


def test_from_zero_it_can_leave_zero(made):
    network = made(width=2, zero=True, tanh=False)
    (network(noise(2, 1, 16, 24)) - 1).square().mean().backward()
    assert network.last.weight.grad.any()
    assert network.last.bias.grad.any()
