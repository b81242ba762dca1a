"""The training of the classifier of faces: its recipe, mirrors, ImageNet weights, and that it learns."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from evidence import training
from evidence.errors import BadInput
from evidence.models import resnet18
from evidence.models.resnet18 import Learner
from evidence.training import Samples

SMALL = {"layers": (1, 1, 1, 1), "width": 4, "hidden": 4}


@pytest.fixture
def samples():
    """Half are of class 1, which is brighter in the middle."""
    random, labels = np.random.default_rng(5), np.arange(24) % 2
    images = random.uniform(-1, 0, (24, 3, 32, 48)).astype(np.float32)
    images[labels == 1, :, 8:24, 12:36] += 1.0
    return Samples(images, labels)


def tiny(channels=3, **options):
    torch.manual_seed(0)
    settings = {**SMALL, "batch": 8, "steps": 40, "validate_every": 20}
    return Learner((channels, 32, 48), **settings | options)


def test_the_released_recipe(samples):
    learner = tiny()
    (group,) = learner.optimisers["classifier"].param_groups
    assert (group["lr"], group["betas"]) == (1e-3, (0.9, 0.999))
    logits, labels = torch.randn(6, 2), torch.tensor([0, 0, 0, 1, 0, 1])
    torch.testing.assert_close(learner.loss(logits, labels), cross_entropy(logits, labels))


@pytest.mark.parametrize("horizontal", [True, False])
def test_half_of_the_images_are_mirrored_left_to_right(samples, horizontal):
    learner, seen = tiny(horizontal=horizontal), []
    learner.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images, labels = samples.labelled(np.arange(24))
    learner.step(iter([(images, labels)]), 0)
    plain = [torch.equal(given, image) for given, image in zip(seen[0], images, strict=True)]
    turned = [torch.equal(given, image.flip(-1)) for given, image in zip(seen[0], images, strict=True)]
    assert all(one != other for one, other in zip(plain, turned, strict=True))
    assert (0 < sum(turned) < 24) if horizontal else not any(turned)


def test_it_learns_and_keeps_the_best(samples, tmp_path):
    learner = tiny(lr=3e-3, dropout=0.0, steps=60)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    losses = history[history["name"] == "validation_cross_entropy"]["value"]
    kept = learner.networks["classifier"].eval()
    images, labels = samples.labelled(np.arange(24))
    with torch.no_grad():
        assert float(learner.loss(kept(images), labels)) == pytest.approx(losses.min(), rel=1e-4)
        assert (kept(images).argmax(1) == labels).float().mean() > 0.9
    assert history["step"].max() == 59


@pytest.mark.parametrize("channels", [3, 1])
def test_imagenet_weights_are_taken_from_the_file_that_is_named(monkeypatch, tmp_path, channels):
    donor = tiny().network.body.state_dict()
    save_file({**donor, "fc.weight": torch.zeros(1000, 32)}, tmp_path / "r18.safetensors")
    monkeypatch.setenv(resnet18.WEIGHTS, str(tmp_path / "r18.safetensors"))
    torch.manual_seed(9)
    found = Learner((channels, 32, 48), **SMALL, pretrained=True).network.body.state_dict()
    for key, value in donor.items():
        summed = key == "conv1.weight" and channels == 1
        torch.testing.assert_close(found[key], value.sum(1, keepdim=True) if summed else value)


def test_three_stages_are_no_residual_network():
    with pytest.raises(BadInput, match="four stages, not 3; ResNet-18"):
        tiny(layers=(1, 1, 1))
