"""Classes of generated images, by generators whose images' class is known."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.metrics.class_agreement import score
from evidence.networks.c3d import Classifier
from evidence.networks.latent import Generator
from evidence.seeds import stream

SEEN = []  # latents; the networks that a metric runs are copies


class Mean(nn.Module):
    """Images of which every pixel is a weighted sum of z2's first number, z2 being anything at all, and z1's first."""

    sizes = (3, 2)

    def __init__(self, first=0.0, there=0.0, shared=0.0):
        super().__init__()
        self.first, self.there, self.shared = first, there, shared

    def forward(self, latents):
        SEEN.append(latents)
        there = (latents[:, 3:] != 0).any(1).float()
        level = self.first * latents[:, 3] + self.there * there + self.shared * latents[:, 0]
        return level[:, None, None, None].expand(-1, 3, 4, 6)


class Brightness(nn.Module):
    """The log-odds of class 1 are a multiple of the mean less a bit; both logits fall with it, which says nothing."""

    def __init__(self, by=1.0, bit=0.5):
        super().__init__()
        self.by, self.bit = by, bit

    def forward(self, images):
        z = self.by * (images.flatten(1).mean(1) - self.bit)
        return torch.stack([-z - z / 2, -z + z / 2], 1)


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")
    SEEN.clear()


def test_one_negative_and_some_positives_of_each_z1():
    score(Mean(), Brightness(), draws=400, positives=2, repeats=2)
    one, other = torch.cat(SEEN).reshape(2, 400, 3, 5)
    assert (one[:, :, :3] == one[:, :1, :3]).all(), "they share their z1"
    assert (one[:, 0, 3:] == 0).all()
    assert (one[:, 1:, 3:] != 0).all()
    assert (one[:, 1, 3:] != one[:, 2, 3:]).all(), "each positive has a z2 of its own"
    drawn = torch.cat([one[:, 0, :3].flatten(), one[:, 1:, 3:].flatten()])  # 2,800 numbers
    assert abs(drawn.mean()) < 0.1
    assert abs(drawn.std() - 1) < 0.05
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("generator", "accuracy", "auc"),
    [
        (Mean(there=1.0), 1, 1),
        (Mean(there=-1.0), 1 / 4, 0),  # all are decided for class 0, and the positives are the darkest
        (Mean(), 1 / 4, 0.5),
    ],
)
def test_generators_whose_class_is_known(generator, accuracy, auc):
    found = score(generator, Brightness(), draws=8, repeats=3)
    assert found["accuracy"].tolist() == [accuracy] * 3
    assert found["auc"].tolist() == [auc] * 3


def test_against_pairs_and_a_count():
    found = score(Mean(first=1.0, shared=0.5), Brightness(), draws=15, positives=2, repeats=1)
    latents = torch.cat(SEEN).double().numpy()
    level, labels = latents[:, 3] + 0.5 * latents[:, 0], (latents[:, 3:] != 0).any(1)
    pairs = itertools.product(level[labels], level[~labels])
    assert found["auc"] == pytest.approx([np.mean([one > zero for one, zero in pairs])])
    assert found["accuracy"] == pytest.approx([np.mean((level > 0.5) == labels)])
    assert 0.2 < found["accuracy"][0] < 0.9


def test_a_certain_classifier_still_tells_images_apart():
    """Log-odds from 100 to 1000: p1 rounds to 1 for all."""
    generator = Mean(first=1e-3, there=1.0)
    found = score(generator, Brightness(by=1000, bit=-0.1), draws=20, repeats=1)
    assert found["auc"].tolist() == [1]
    assert found["accuracy"].tolist() == [3 / 4]


def test_a_repeat_does_not_depend_on_the_others():
    given = (Mean(first=1.0), Brightness())
    three, again, other = (score(*given, draws=50, repeats=3, seed=seed)["auc"] for seed in (1, 1, 2))
    assert three.tolist() == again.tolist()
    assert three[:1].tolist() == score(*given, draws=50, repeats=1, seed=1)["auc"].tolist()
    assert three.tolist() != other.tolist()
    SEEN.clear()
    score(*given, draws=1, positives=1, repeats=1, seed=5)
    random = torch.Generator().manual_seed(stream(5, "class agreement", 0))
    assert torch.equal(SEEN[0][0, :3], torch.randn(2, 5, generator=random)[0, :3])


def test_images_do_not_see_their_batch_and_modes_stay():
    """Batch normalisation in training mode would mix them."""
    torch.manual_seed(0)
    generator = Generator(channels=1, z1=3, z2=2, base=4, widths=(8,)).train()
    classifier = Classifier(size=(16, 16), width=2, hidden=4).train()
    few, many = (score(generator, classifier, draws=25, repeats=2, batch=batch) for batch in (4, 1000))
    for name, values in many.items():
        assert values.min() > 0
        np.testing.assert_allclose(few[name], values, atol=1e-9)
    assert all(module.training for network in (generator, classifier) for module in network.modules())
    assert all(parameter.requires_grad for parameter in generator.parameters())


@pytest.mark.parametrize("option", ["draws", "positives", "repeats", "batch"])
def test_nothing_to_score_is_refused(option):
    with pytest.raises(BadInput, match=f"{option}: 0 leaves nothing to score"):
        score(Mean(), Brightness(), **{option: 0})


def test_a_network_without_latents_is_refused():
    with pytest.raises(BadInput, match="a Brightness makes no images of latents; score a generator of medxgan"):
        score(Brightness(), Brightness())
