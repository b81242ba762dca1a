"""The classifier's training: which network is kept, when it ends, and that it learns."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from evidence import classifying, training
from evidence.models.classifier import Learner
from evidence.training import Samples


@pytest.fixture
def samples():
    """Class 1 is brighter in the middle."""
    random = np.random.default_rng(5)
    images, labels = random.uniform(-0.5, 0.5, (20, 1, 16, 24)).astype(np.float32), np.arange(20) % 2
    images[1::2, :, 4:12, 8:16] += 0.5
    return Samples(images, labels)


def tiny(shape=(1, 16, 24), **options):
    return Learner(shape, **{"width": 2, "hidden": 3, "validate_every": 1, **options})


@pytest.fixture
def losses(monkeypatch):
    """Lets validations find given losses, one after another."""

    def prescribe(values, count):
        values = iter(values)
        monkeypatch.setattr(classifying, "cross_entropy", lambda *a, **k: torch.full((count,), next(values)))

    return prescribe


@pytest.mark.parametrize(
    ("history", "best"),
    [([3.0, 2.0, 1.0], 2), ([3.0, 1.0, 2.0], 1), ([1.0, 2.0, 3.0], 0), ([2.0, 1.0, 1.0, 1.5], 1)],
)
def test_the_network_of_the_lowest_validation_loss_is_kept(samples, losses, history, best):
    """Of two that are equally good the earlier."""
    learner = tiny()
    losses(history, len(samples))
    for i, loss in enumerate(history):
        nn.init.constant_(learner.network.head[1].weight, i)
        learner.network.head[2].running_mean.fill_(i)
        assert learner.validate(samples, i)["cross_entropy"] == pytest.approx(loss)
    (name,), (kept,) = learner.networks.keys(), learner.networks.values()
    assert name == "classifier"
    assert (kept.head[1].weight == best).all()
    assert (kept.head[2].running_mean == best).all(), "running statistics are part of a network"
    assert (learner.network.head[1].weight == len(history) - 1).all()


def test_the_kept_network_does_not_follow_the_training(samples):
    learner = tiny()
    learner.validate(samples, 0)
    kept = copy.deepcopy(learner.best.state_dict())
    learner.step(iter([(torch.from_numpy(samples.images), torch.from_numpy(samples.labels))]), 1)
    assert all(torch.equal(value, kept[name]) for name, value in learner.best.state_dict().items())
    assert not torch.equal(learner.network.head[1].weight, learner.best.head[1].weight)


def test_gains_that_are_too_small_do_not_keep_training_alive_but_are_kept(samples, losses):
    """Each validation is better than the last by a tenth of a thousandth."""
    learner, count = tiny(patience=3, least=0.001), len(samples)
    history = [1.0, 0.5, *(0.5 - 0.0001 * k for k in range(1, 15))]
    losses(history, count)
    ends = []
    for i, loss in enumerate(history):
        nn.init.constant_(learner.network.head[1].weight, i)
        assert learner.validate(samples, i)["cross_entropy"] == pytest.approx(loss)
        ends.append(learner.finished(i))
    assert ends.index(True) == 4, "three validations after the last that counted"
    assert (learner.networks["classifier"].head[1].weight == len(history) - 1).all()


FALLING = [5.0, 4.0, 3.0, 3.5, 3.5, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5]  # until step 2, and again at step 5


@pytest.mark.parametrize(
    ("patience", "every", "last"), [(1, 1, 3), (2, 1, 4), (3, 1, 8), (1, 2, 7), (2, 2, 9), (0, 1, 11)]
)
def test_training_ends_after_so_many_validations_without_improvement(
    samples, losses, monkeypatch, tmp_path, patience, every, last
):
    learner = tiny(patience=patience, validate_every=every, steps=len(FALLING))
    losses(FALLING[every - 1 :: every], len(samples))
    monkeypatch.setattr(learner, "step", lambda batches, i: {"cross_entropy": torch.zeros(())})
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="")
    assert history["step"].max() == last


@pytest.mark.parametrize("size", [(16, 24), (16, 8, 24)])
@pytest.mark.parametrize("head", ["dense", "cam", "convolution"])
def test_a_step_follows_the_gradient_of_the_cross_entropy(size, head):
    """Adam's first step moves each weight by the learning rate against the sign of its gradient."""
    learner = tiny((1, *size), head=head, lr=1e-3).double()
    images = torch.randn(6, 1, *size, dtype=torch.float64)
    labels = torch.arange(6) % 2
    before = copy.deepcopy(learner.network).train()
    expected = cross_entropy(before(images), labels)
    expected.backward()
    learner.network.eval()  # as a validation leaves it
    found = learner.step(iter([(images, labels)]), 0)
    torch.testing.assert_close(found["cross_entropy"].double(), expected.detach(), rtol=1e-6, atol=0)
    for old, new in zip(before.parameters(), learner.network.parameters(), strict=True):
        steep = old.grad.abs() > 1e-5  # beside Adam's epsilon of 1e-8
        torch.testing.assert_close((old - new)[steep], 1e-3 * old.grad.sign()[steep], rtol=2e-3, atol=0)


def test_validation_is_the_mean_over_images_whatever_the_batch(samples):
    found = []
    for batch in (1, 2, 30):
        torch.manual_seed(0)
        learner = tiny(batch=batch)
        before = copy.deepcopy(learner.network.state_dict())
        found.append(learner.validate(samples, 0))
        assert all(torch.equal(value, before[name]) for name, value in learner.network.state_dict().items())
    logits = learner.network.eval()(torch.from_numpy(samples.images)).detach()
    labels = torch.from_numpy(samples.labels)
    expected = cross_entropy(logits, labels).item()
    right = (logits.argmax(1) == labels).float().mean().item()
    assert all(one == pytest.approx({"cross_entropy": expected, "accuracy": right}, rel=1e-5) for one in found)


@pytest.mark.parametrize("head", ["dense", "cam", "convolution"])
def test_it_learns_what_a_child_could_tell_apart(samples, tmp_path, head):
    learner = tiny(head=head, width=4, steps=40, lr=0.01, batch=20, validate_every=40)
    for layer in learner.network.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 0.2  # forty steps are too few for averages that keep 0.99 of themselves
    history, _ = training.fit(learner, samples, samples, seed=0, state=tmp_path / "state.pt", recipe="")
    curve = history[history["name"] == "cross_entropy"]["value"].to_numpy()
    assert curve[-1] < 0.5 * curve[0]
    assert history[history["name"] == "validation_accuracy"]["value"].item() == 1


def test_the_kept_network_describes_itself():
    learner = tiny((2, 16, 8, 24), head="convolution", widest=5)
    options = learner.networks["classifier"].options
    expected = {
        "size": (16, 8, 24),
        "channels": 2,
        "head": "convolution",
        "classes": 2,
        "width": 2,
        "widest": 5,
        "last_block": True,
        "hidden": 3,
    }
    assert options == expected


def test_the_defaults_are_those_of_the_released_code_and_where_it_was_stopped_by_hand_ours():
    """Adam with 1e-3 and torch's own decays, batches of 30, a look every 100; an end after 10,000 steps or 20 looks."""
    learner = Learner((1, 32, 32))
    (group,) = learner.optimisers["classifier"].param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 1e-8, 0)
    assert (learner.batch, learner.steps, learner.validate_every) == (30, 10_000, 100)
    assert (learner.plateau.patience, learner.plateau.floor, learner.plateau.least) == (20, float("inf"), 0)
    assert not learner.balanced
