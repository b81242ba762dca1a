"""The residual classifier's training: its weighted loss, its schedule, ImageNet weights, and that it learns."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evidence import training
from evidence.errors import BadInput
from evidence.models import resnet
from evidence.models.resnet import Learner
from evidence.training import Samples

SMALL = {"layers": (1, 1, 1, 1), "width": 4, "hidden": 4}


@pytest.fixture
def samples():
    """A quarter is of class 1, which is brighter in the middle."""
    random = np.random.default_rng(5)
    images, labels = random.uniform(0, 0.5, (24, 1, 32, 48)).astype(np.float32), (np.arange(24) % 4 == 0).astype(int)
    images[labels == 1, :, 8:24, 12:36] += 0.5
    return Samples(images, labels)


def tiny(**options):
    torch.manual_seed(0)
    return Learner((1, 32, 48), **{**SMALL, "augment": 0.0, "batch": 8, "steps": 40, "validate_every": 20, **options})


def test_both_classes_weigh_alike(samples):
    learner = tiny()
    assert learner.pool(samples) is samples
    torch.testing.assert_close(learner.weights, torch.tensor([24 / 36, 24 / 12]))
    logits, labels = torch.randn(6, 2), torch.tensor([0, 0, 0, 1, 0, 1])
    p = logits.softmax(1)[range(6), labels]
    torch.testing.assert_close(learner.loss(logits, labels), (-p.log() * learner.weights[labels]).mean())


def test_the_weights_of_the_published_classes():
    """About (0.667, 2.0) of brains, of which a quarter is positive; (0.843, 1.228) of X-rays."""
    learner = tiny()
    for counts, expected in (((35_175, 11_725), (0.667, 2.0)), ((7_065, 4_852), (0.843, 1.228))):
        labels = np.repeat([0, 1], counts)
        learner.pool(Samples(np.zeros((1, 1, 1, 1), np.float32), labels, rows=np.zeros(len(labels), int)))
        assert learner.weights.tolist() == pytest.approx(expected, abs=1e-3)


def test_it_learns_and_keeps_the_best(samples, tmp_path):
    learner = tiny(lr=3e-3, dropout=0.0, steps=60)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    losses = history[history["name"] == "validation_cross_entropy"]["value"]
    kept = learner.networks["classifier"].eval()
    images, labels = samples.labelled(np.arange(24))
    with torch.no_grad():
        assert float(learner.loss(kept(images), labels)) == pytest.approx(losses.min(), rel=1e-4)
        assert (kept(images).argmax(1) == labels).float().mean() > 0.9


def test_a_validation_is_the_mean_over_images_in_batches_of_any_size(samples):
    learner = tiny()
    learner.pool(samples)
    found = [learner.validate(samples, 0)]
    learner.batch = 5
    found.append(learner.validate(samples, 0))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_imagenet_weights_are_taken_from_the_file_that_is_named(monkeypatch, tmp_path):
    donor = tiny(width=4).network.body.state_dict()
    colours = {**donor, "conv1.weight": donor["conv1.weight"].repeat(1, 3, 1, 1) / 3}
    save_file({**colours, "fc.weight": torch.zeros(1000, 128)}, tmp_path / "r50.safetensors")
    monkeypatch.setenv(resnet.WEIGHTS, str(tmp_path / "r50.safetensors"))
    torch.manual_seed(9)
    learner = Learner((1, 32, 48), **SMALL, pretrained=True)
    for key, value in learner.network.body.state_dict().items():
        torch.testing.assert_close(value, donor[key])


def test_three_stages_are_no_residual_network():
    with pytest.raises(BadInput, match="four stages, not 3"):
        Learner((1, 32, 48), layers=(1, 1, 1))
