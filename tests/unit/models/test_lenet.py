"""The training of the classifier of digits: ten classes, its optimiser, and that it learns."""

import math

import numpy as np
import pytest
import torch

from evidence import training
from evidence.errors import BadInput
from evidence.models.lenet import Learner
from evidence.training import Samples


@pytest.fixture
def samples():
    """Of class k, one of five places is bright."""
    random, labels = np.random.default_rng(5), np.arange(40) % 5
    images = random.uniform(-1, -0.5, (40, 1, 16, 20)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        image[:, 5:11, 4 * label : 4 * label + 4] += 1.2
    return Samples(images, labels)


def tiny(**options):
    torch.manual_seed(0)
    settings = {"widths": (4, 4), "hidden": 8, "classes": 5, "batch": 10, "steps": 40, "validate_every": 20}
    return Learner((1, 16, 20), **settings | options)


def test_the_recipe():
    learner = Learner((1, 28, 28))
    (group,) = learner.optimisers["classifier"].param_groups
    assert (group["lr"], group["betas"]) == (1e-3, (0.9, 0.999))
    assert learner.steps == 10 * (60_000 // 128) + 10


def test_the_loss_by_hand(samples):
    learner = tiny()
    assert learner.pool(samples) is samples
    logits, labels = torch.randn(6, 5), torch.tensor([4, 0, 3, 3, 2, 1])
    each = [
        -math.log(math.exp(row[label]) / sum(map(math.exp, row)))
        for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
    ]
    assert float(learner.loss(logits, labels)) == pytest.approx(sum(each) / 6, rel=1e-5)


def test_it_learns_all_classes_and_keeps_the_best(samples, tmp_path):
    learner = tiny(lr=5e-3, steps=120)
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
    losses = history[history["name"] == "validation_cross_entropy"]["value"]
    kept = learner.networks["classifier"].eval()
    images, labels = samples.labelled(np.arange(40))
    with torch.no_grad():
        assert float(learner.loss(kept(images), labels)) == pytest.approx(losses.min(), rel=1e-4)
        assert (kept(images).argmax(1) == labels).float().mean() > 0.9
    assert history["step"].max() == 119
    assert learner.optimisers["classifier"].param_groups[0]["lr"] == 5e-3


@pytest.mark.parametrize("augment", [0.0, 1.0])
def test_images_are_moved_if_that_is_asked_for(samples, augment):
    learner, seen = tiny(augment=augment), []
    learner.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images, labels = samples.labelled(np.arange(10))
    learner.step(iter([(images, labels)]), 0)
    assert torch.equal(seen[0], images) == (not augment)
    if augment:
        assert torch.allclose(seen[0].flatten(1).aminmax(dim=1).min, torch.tensor(-1.0))


def test_labels_beyond_the_classes_are_refused(samples, tmp_path):
    with pytest.raises(BadInput, match="classes: there is a label 4 among images of 3 classes"):
        training.fit(tiny(classes=3), samples, samples, seed=0, state=tmp_path / "state.pt", recipe="r")
