"""The perturber: its losses against a slow twin, its schedule, and the shapes of its networks."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.models.fixed_point import Learner
from evidence.networks.fixed_point import Judge, Translator
from evidence.training import Samples

SHAPE = (1, 8, 12)


class Bright(nn.Module):
    def forward(self, images):
        z = 20 * (images.flatten(1).mean(1) - 0.5)
        return torch.stack([torch.zeros_like(z), z], 1)


@pytest.fixture
def learner():
    torch.manual_seed(0)
    made = Learner(SHAPE, Bright(), width=2, blocks=1, depth=2, steps=10, batch=3, mirror=False, decision=0.2)
    made.perturber.layers[-1].weight.data *= 0.3
    return made.double()


@pytest.fixture
def batch():
    images = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return images, torch.tensor([0, 1, 1, 0])


def log_loss(target, z):
    p = 1 / (1 + math.exp(-z))
    return -(target * math.log(p) + (1 - target) * math.log(1 - p))


def test_the_judges_loss_is_that_of_the_twin(learner, batch):
    images, labels = batch
    torch.manual_seed(3)
    found = {key: value.item() for key, value in learner.judge_terms(images, labels).items()}
    torch.manual_seed(3)
    where = torch.rand(4, 1, 1, 1, dtype=torch.float64)
    expected = dict.fromkeys(found, 0.0)
    for x, c, u in zip(images, labels, where, strict=True):
        with torch.no_grad():
            y = learner.perturber(x[None], 1 - c[None])
            real, label = (v.item() for v in learner.judge(x[None]))
            expected["judge_translated"] += learner.judge(y)[0].item() / 4
        expected["judge_real"] -= real / 4
        expected["judge_label"] += log_loss(c.item(), label) / 4
        mixed = (x[None] + u * (y - x[None])).requires_grad_()
        (slope,) = torch.autograd.grad(learner.judge(mixed)[0].sum(), mixed)
        expected["weighted_penalty"] += 10 * (slope.norm().item() - 1) ** 2 / 4
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_translators_loss_is_that_of_the_twin(learner, batch):
    found = {key: value.item() for key, value in learner.perturber_terms(*batch).items()}
    expected = dict.fromkeys(found, 0.0)
    with torch.no_grad():
        for x, c in zip(*batch, strict=True):
            x, c = x[None], c[None]
            for name, target in (("other", 1 - c), ("same", c)):
                y = learner.perturber(x, target)
                real, label = (v.item() for v in learner.judge(y))
                expected[f"{name}_real"] -= real / 4
                expected[f"{name}_label"] += log_loss(target.item(), label) / 4
                expected[f"{name}_cycle"] += 10 * (learner.perturber(y, c) - x).abs().mean().item() / 4
                if name == "same":
                    expected["likeness"] += 0.1 * (y - x).abs().mean().item() / 4
                else:
                    z = 20 * (y.mean().item() - 0.5)
                    expected["decision"] += 0.2 * log_loss(target.item(), z) / 4
    assert found == pytest.approx(expected, rel=1e-6)


def test_without_its_weight_the_classifier_says_nothing(batch):
    learner = Learner(SHAPE, Bright(), width=2, blocks=1, depth=2).double()
    assert "decision" not in learner.perturber_terms(*batch)


def test_the_rate_falls_in_the_second_half_and_five_judgements_precede_a_translation(learner, batch, monkeypatch):
    rates, done, drawn = [], [], 0

    def batches():
        nonlocal drawn
        while True:
            drawn += 1
            yield batch

    plain = learner.descend
    monkeypatch.setattr(learner, "descend", lambda name, terms: done.append(name) or plain(name, terms))
    for i in range(10):
        learner.step(batches(), i)
        rates.append(learner.optimisers["perturber"].param_groups[0]["lr"] / 1e-4)
    assert rates == pytest.approx([1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
    assert done == [*["judge"] * 5, "perturber"] * 10
    assert drawn == sum(learner.draws(i) for i in range(10))


def test_a_judgement_moves_the_judge_and_a_translation_the_translator(learner, batch):
    def state():
        return {name: [p.clone() for p in network.parameters()] for name, network in learner.networks.items()}

    for name, terms in (("judge", learner.judge_terms), ("perturber", learner.perturber_terms)):
        learner.judge.requires_grad_(name == "judge")
        before = state()
        learner.descend(name, terms(*batch))
        for network, old in before.items():
            same = all(torch.equal(a, b) for a, b in zip(old, learner.networks[network].parameters(), strict=True))
            assert same == (network != name)


def test_validation_says_how_many_flip(learner):
    random = np.random.default_rng(0)
    images = random.uniform(0, 1, (12, *SHAPE)).astype(np.float32)
    learner.float().perturber.forward = lambda images, labels: 1 - images  # turns every decision, its own class's too
    found = learner.validate(Samples(images, np.zeros(12, int)), 0)
    assert found == pytest.approx({"flip": 1, "stable": 0, "change": found["change"], "residue": found["change"]})
    assert found["change"] == pytest.approx(np.abs(1 - 2 * images).mean(), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 16, 24), (2, 8, 16, 12)])
def test_a_translation_is_the_image_and_a_change_cut_to_the_range(shape):
    torch.manual_seed(0)
    options = {"channels": shape[0], "width": 2, "blocks": 1, "spatial_dims": len(shape) - 1}
    images, labels = torch.rand(3, *shape) * 2 - 1, torch.tensor([0, 1, 1])
    network = Translator(**options, low=-1.0, high=0.5)
    found = network.translate(images, labels)
    assert found.shape == images.shape
    assert found.min() >= -1
    assert found.max() <= 0.5
    nn.init.zeros_(network.layers[-1].weight)
    assert torch.equal(network.translate(images, labels), images.clamp(-1, 0.5))
    assert [v.shape for v in Judge(size=shape[1:], channels=shape[0], width=2, depth=3)(images)] == [(3,), (3,)]


def test_the_label_matters():
    torch.manual_seed(0)
    network, images = Translator(width=2, blocks=1), torch.rand(2, 1, 16, 16)
    one, other = (network(images, torch.full((2,), label)) for label in (0, 1))
    assert not torch.equal(one, other)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(BadInput, match="sizes divisible by 4, not 16×18"):
        Translator(width=2)(torch.zeros(1, 1, 16, 18), torch.tensor([0]))
    with pytest.raises(BadInput, match="images of 16×24 cannot be halved 6 times; 4 at most"):
        Judge(size=(16, 24), depth=6)
