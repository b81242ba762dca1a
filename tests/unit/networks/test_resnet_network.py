"""The residual classifiers against torchvision's sizes, and what their relatives ask of them."""

import pytest
import torch

from evidence.networks.lean import folded
from evidence.networks.resnet import ResNet, ResNet18

SMALL = {"layers": (1, 1, 1, 1), "width": 2, "hidden": 3}


@pytest.fixture
def small():
    torch.manual_seed(0)
    network = ResNet(**SMALL)
    with torch.no_grad():
        for _ in range(3):  # statistics that are no identity
            network(torch.rand(8, 1, 32, 48))
    return network.eval()


def test_it_has_the_parameters_of_the_paper():
    with torch.device("meta"):
        three, one = (ResNet(channels=channels) for channels in (3, 1))
    assert sum(p.numel() for p in three.parameters()) == 23_770_433
    assert sum(p.numel() for p in one.parameters()) == 23_770_433 - 2 * 64 * 49


def test_the_first_logit_is_nothing(small):
    logits = small(torch.rand(3, 1, 32, 48))
    assert not logits[:, 0].any()
    torch.testing.assert_close(logits.softmax(1)[:, 1], logits[:, 1].sigmoid())


def test_features_are_halved_stage_by_stage(small):
    found = small.pyramid(torch.rand(2, 1, 30, 48))
    assert [tuple(each.shape[1:]) for each in found] == [
        (2, 15, 24),
        (8, 8, 12),
        (16, 4, 6),
        (32, 2, 3),
        (64, 1, 2),
    ]


def test_folding_leaves_the_function(small):
    images = torch.rand(4, 1, 32, 48)
    other = folded(small)
    torch.testing.assert_close(other(images), small(images), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in other.modules())
    assert any(isinstance(layer, torch.nn.BatchNorm2d) for layer in small.modules())


def test_a_grey_image_in_three_channels_is_one(small):
    """Where the stem's weights are summed over the colours."""
    torch.manual_seed(1)
    three = ResNet(channels=3, **SMALL).eval()
    weights = {key.removeprefix("body."): value for key, value in three.state_dict().items() if "body" in key}
    small.adopt({**weights, "fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)})
    small.head = three.head
    grey = torch.rand(2, 1, 32, 48)
    torch.testing.assert_close(small(grey), three(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_volumes():
    torch.manual_seed(0)
    assert ResNet(spatial_dims=3, **SMALL).eval()(torch.rand(2, 1, 16, 32, 24)).shape == (2, 2)


# --- ResNet-18 --------------------------------------------------------------------------------------------------------


def test_resnet_18_has_torchvision_s_parameters_and_the_released_head():
    with torch.device("meta"):
        three, one = (ResNet18(channels=channels) for channels in (3, 1))
    assert sum(p.numel() for p in three.body.parameters()) == 11_176_512
    assert sum(p.numel() for p in one.body.parameters()) == 11_176_512 - 2 * 64 * 49
    assert sum(p.numel() for p in three.head.parameters()) == 512 * 64 + 64 + 64 * 2 + 2


def test_resnet_18_takes_two_logits_from_the_mean_of_its_last_stage():
    torch.manual_seed(0)
    network, kept = ResNet18(channels=1, **SMALL).eval(), []
    network.last_stage.register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = network(torch.rand(3, 1, 60, 96))
    assert kept[0].shape == (3, 16, 2, 3)
    first, last = network.head[0], network.head[3]
    hidden = (kept[0].mean((2, 3)) @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(logits, hidden @ last.weight.T + last.bias)
    torch.testing.assert_close(folded(network)(torch.ones(2, 1, 60, 96)), network(torch.ones(2, 1, 60, 96)))


def test_resnet_18_of_volumes():
    torch.manual_seed(0)
    network = ResNet18(channels=1, spatial_dims=3, **SMALL).eval()
    assert network(torch.rand(2, 1, 16, 32, 24)).shape == (2, 2)
