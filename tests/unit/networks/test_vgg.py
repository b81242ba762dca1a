"""medXGAN's VGG-16 against the published sizes, torchvision's names, and its layers one by one."""

import pytest
import torch
from torch.nn import functional

from evidence.networks.vgg import VGG

SMALL = {"width": 2, "hidden": 6, "head": (5, 4), "pool": 3}
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # torchvision's numbers; a pool is in each gap of three
POOLS = (4, 9, 16, 23, 30)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.fixture
def small():
    torch.manual_seed(0)
    return VGG(**SMALL).eval()


def test_it_has_the_parameters_of_vgg16_but_for_its_head():
    with torch.device("meta"):
        network = VGG()
    assert count(network.features) == 14_714_688
    thousand = 4096 * 1000 + 1000
    assert count(network.features) + count(network.classifier) + thousand == 138_357_544
    assert count(network.head) == 4097 * 1024 + 1025 * 256 + 257 * 64 + 65 * 2
    assert network.classifier[0].in_features == 25_088


def test_its_weights_have_the_names_and_shapes_of_torchvisions():
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in VGG().state_dict().items() if not key.startswith("head.")}
    widths = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    inputs = [3, *widths[:-1]]
    expected = {f"features.{n}.weight": (b, a, 3, 3) for n, a, b in zip(CONVOLUTIONS, inputs, widths, strict=True)}
    expected |= {f"features.{n}.bias": (b,) for n, b in zip(CONVOLUTIONS, widths, strict=True)}
    expected |= {"classifier.0.weight": (4096, 25_088), "classifier.0.bias": (4096,)}
    expected |= {"classifier.3.weight": (4096, 4096), "classifier.3.bias": (4096,)}
    assert shapes == expected


def test_the_layers_one_by_one(small):
    images = torch.rand(2, 3, 64, 96)
    state, x = small.state_dict(), images
    for n in range(31):
        if n in CONVOLUTIONS:
            x = functional.conv2d(x, state[f"features.{n}.weight"], state[f"features.{n}.bias"], padding=1)
        else:
            x = functional.max_pool2d(x, 2) if n in POOLS else x.clamp(min=0)
    assert x.shape == (2, 16, 2, 3)
    x = functional.adaptive_avg_pool2d(x, 3).flatten(1)
    for name in ("classifier.0", "classifier.3", "head.0", "head.2"):
        x = (x @ state[f"{name}.weight"].T + state[f"{name}.bias"]).clamp(min=0)
    expected = x @ state["head.4.weight"].T + state["head.4.bias"]
    torch.testing.assert_close(small(images), expected, rtol=1e-4, atol=1e-6)


def test_its_last_stage_is_the_last_convolution_with_relu(small):
    kept = []
    small.last_stage.register_forward_hook(lambda module, inputs, output: kept.append(output))
    images = torch.rand(1, 3, 128, 96)
    small(images)
    (features,) = kept
    assert features.shape == (1, 16, 8, 6)
    x = images
    for layer in small.features[:29]:
        x = layer(x)
    torch.testing.assert_close(features, x.clamp(min=0))


def test_a_signal_arrives_at_the_other_end():
    """Nineteen layers without normalisation: first weights that lose a factor each would leave nothing."""
    torch.manual_seed(0)
    with torch.no_grad():
        logits = VGG(width=8, hidden=64, head=(32, 16), pool=2).eval()(torch.randn(16, 3, 64, 64))
    assert 0.03 < float(logits.abs().mean()) < 10


def test_imagenet_weights_are_taken_over_and_the_head_stays(small):
    torch.manual_seed(1)
    donor = {key: value for key, value in VGG(**SMALL).state_dict().items() if not key.startswith("head.")}
    head = {key: value.clone() for key, value in small.head.state_dict().items()}
    small.adopt({**donor, "classifier.6.weight": torch.zeros(1000, 6), "classifier.6.bias": torch.zeros(1000)})
    state = small.state_dict()
    assert all(torch.equal(state[key], value) for key, value in donor.items())
    assert all(torch.equal(small.head.state_dict()[key], value) for key, value in head.items())


def test_a_grey_image_in_three_channels_is_one(small):
    torch.manual_seed(1)
    one = VGG(channels=1, **SMALL).eval()
    one.adopt({key: value for key, value in small.state_dict().items() if not key.startswith("head.")})
    one.head = small.head
    grey = torch.rand(2, 1, 32, 48)
    torch.testing.assert_close(one(grey), small(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-6)


def test_weights_that_lack_a_layer_are_refused(small):
    donor = {key: value for key, value in small.state_dict().items() if not key.startswith(("head.", "classifier.3."))}
    with pytest.raises(RuntimeError, match=r"Missing key.*classifier\.3"):
        small.adopt(donor)


def test_volumes_and_odd_sizes():
    torch.manual_seed(0)
    network = VGG(channels=1, spatial_dims=3, width=1, hidden=3, head=(), pool=2).eval()
    assert network(torch.rand(2, 1, 17, 33, 24)).shape == (2, 2)
