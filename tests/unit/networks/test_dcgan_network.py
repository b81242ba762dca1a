"""DCGAN's two networks: the published sizes, their layers one by one, and the same function in bfloat16 and folded."""

import pytest
import torch
from torch.nn import functional

from evidence import machine
from evidence.errors import BadInput
from evidence.networks.dcgan import Discriminator, Generator, Twofold
from evidence.networks.lean import folded

TINY = {"size": (28, 24), "channels": 2, "z": 5, "widths": (6, 5, 4, 3)}


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"size": (28, 28)}, 3_573_696),
        ({"size": (32, 32)}, 3_573_696),
        ({"size": (64, 64)}, 3_573_696 + 64 * 15),
        ({"size": (64, 64), "channels": 3}, 3_573_696 + 64 * (3 * 16 - 1)),
    ],
)
def test_the_published_generator(options, parameters):
    with torch.device("meta"):
        generator = Generator(**options)
        images = generator(torch.empty(2, generator.z))
    assert count(generator) == parameters
    assert images.shape == (2, options.get("channels", 1), *options["size"])
    assert (generator.z, generator.low, generator.high) == (100, -1, 1)


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        ({"size": (28, 28)}, 661_248),
        ({"size": (64, 64), "channels": 3, "widths": (64, 128, 256, 512)}, 2_765_568),
    ],
)
def test_the_published_discriminator(options, parameters):
    with torch.device("meta"):
        judge = Discriminator(**options)
        assert judge(torch.empty(2, options.get("channels", 1), *options["size"])).shape == (2,)
    assert count(judge) == parameters


def test_the_generator_layer_by_layer():
    torch.manual_seed(0)
    generator = Generator(**TINY)
    latents = torch.randn(7, 5)
    weights = [layer.weight for layer in generator.layers if hasattr(layer, "weight")]
    strides, frames = (1, 2, 2, 2, 1), (0, 1, 1, 1, (2, 4))
    x = latents[:, :, None, None]
    for number, (stride, frame) in enumerate(zip(strides, frames, strict=True)):
        x = functional.conv_transpose2d(x, weights[2 * number], stride=stride, padding=frame)
        if number < 4:
            mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
            x = ((x - mean) / (variance + 1e-5).sqrt() * weights[2 * number + 1].view(1, -1, 1, 1)).clamp(min=0)
    torch.testing.assert_close(generator(latents), x.tanh(), rtol=1e-4, atol=1e-5)


def test_the_discriminator_layer_by_layer():
    torch.manual_seed(0)
    judge = Discriminator(size=(28, 16), channels=2, widths=(3, 4, 5))
    images = torch.randn(7, 2, 28, 16)
    weights = [layer.weight for layer in judge.layers if hasattr(layer, "weight")]
    x = functional.leaky_relu(functional.conv2d(images, weights[0], stride=2, padding=1), 0.2)
    for convolution, scale in zip(weights[1:-1:2], weights[2:-1:2], strict=True):
        x = functional.conv2d(x, convolution, stride=2, padding=1)
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        x = functional.leaky_relu((x - mean) / (variance + 1e-5).sqrt() * scale.view(1, -1, 1, 1), 0.2)
    assert x.shape[2:] == (3, 2)
    expected = functional.conv2d(x, weights[-1], stride=2, padding=1).flatten()
    torch.testing.assert_close(judge(images), expected, rtol=1e-4, atol=1e-5)


def test_first_weights_are_those_published():
    torch.manual_seed(0)
    for network in (Generator(size=(28, 28)), Discriminator(size=(28, 28))):
        for layer in network.layers:
            if isinstance(layer, torch.nn.BatchNorm2d):
                assert abs(layer.weight.mean() - 1) < 0.01
                assert 0.013 < layer.weight.std() < 0.027
                assert (layer.bias == 0).all()
            elif hasattr(layer, "weight"):
                assert 0.017 < layer.weight.std() < 0.023


def test_folding_leaves_the_function():
    torch.manual_seed(0)
    generator, latents = Generator(**TINY), torch.randn(9, 5)
    for _ in range(20):
        generator(torch.randn(50, 5) * 2)
    generator.eval()
    lean = folded(generator)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in lean.modules())
    torch.testing.assert_close(lean(latents), generator(latents), rtol=0, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(lean(latents).float(), generator(latents).float(), rtol=0, atol=0.1)


@pytest.mark.parametrize("places", [(4, 4), (2, 3), (5, 4)])
@pytest.mark.parametrize(("reduced", "off"), [(False, 1e-6), (True, 0.01)])
@pytest.mark.parametrize("learns", [True, False])
def test_doubling_is_torch_s_and_so_are_its_gradients(places, reduced, off, learns, monkeypatch):
    """What few places do by products of matrices, and torch's own where there are more."""
    torch.manual_seed(0)
    layer, images = machine.place(Twofold(16, 8)), torch.randn(6, 16, *places, requires_grad=True)
    layer.weight.requires_grad_(learns)
    found = []
    for few in (16, 0):
        monkeypatch.setattr(Twofold, "FEW", few)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=reduced):
            out = layer(images)
        slope = torch.linspace(-1, 1, out.numel()).view_as(out).to(out.dtype)
        found.append([out, *torch.autograd.grad(out, (images, layer.weight) if learns else images, slope)])
    for lean, plain in zip(*found, strict=True):
        assert lean.dtype == plain.dtype
        assert (lean - plain).norm() <= off * plain.norm()
    assert found[0][0].stride() == found[1][0].stride()  # else what comes next is slow


def test_what_is_folded_stays_in_bfloat16():
    """A bias in float32 would make all that follows float32."""
    generator = folded(machine.place(Generator(**TINY)).eval())
    kinds = []
    for layer in generator.modules():
        layer.register_forward_hook(lambda _layer, _given, made: kinds.append(made.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        generator(torch.randn(3, 5))
    assert set(kinds) == {torch.bfloat16}


def test_images_lie_in_the_range_asked_for():
    torch.manual_seed(0)
    latents = torch.randn(50, 5) * 50
    wide, plain = Generator(**TINY, low=0.0, high=1.0), Generator(**TINY)
    plain.load_state_dict(wide.state_dict())
    images = wide(latents)
    assert images.min() >= 0
    assert images.max() <= 1
    assert torch.allclose((plain(latents) + 1) / 2, images, atol=1e-6)


def test_volumes_are_drawn_and_judged():
    images = Generator(size=(16, 14, 10), z=3, widths=(4, 4, 4))(torch.randn(2, 3))
    assert images.shape == (2, 1, 16, 14, 10)
    assert Generator(size=(32, 32, 32), z=3, widths=(4, 4, 4))(torch.randn(2, 3)).shape == (2, 1, 32, 32, 32)
    assert Discriminator(size=(16, 14, 10), widths=(2, 2))(images).shape == (2,)


@pytest.mark.parametrize("size", [(27, 28), (16, 16), (34, 34), (64, 60)])
def test_sizes_that_a_generator_cannot_draw_are_refused(size):
    with pytest.raises(BadInput, match=f"4 of them draw sides of 64, or of 32 .* of {size[0]}×{size[1]}"):
        Generator(size=size)


@pytest.mark.parametrize(("size", "left"), [((64, 64), "8×8"), ((28, 12), "3×1")])
def test_sizes_that_a_discriminator_does_not_cover_are_refused(size, left):
    with pytest.raises(BadInput, match=f"3 of them leave {left} places of images of {size[0]}×{size[1]}"):
        Discriminator(size=size)


def test_latents_of_another_size_are_refused():
    with pytest.raises(BadInput, match="latents of 6 numbers do not fit a generator of 5"):
        Generator(**TINY)(torch.zeros(1, 6))
