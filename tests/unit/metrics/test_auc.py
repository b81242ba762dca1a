"""The area under the curve: chances of pairs."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from evidence.metrics import auc


class Brightness(nn.Module):
    """The log-odds of class 1 are the mean of the image; both logits fall with it, which says nothing."""

    def forward(self, images):
        mean, common = images.flatten(1).mean(1), -10 * images.flatten(1)[:, 0]
        return torch.stack([common - mean / 2, common + mean / 2], 1)


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")


def flat(values, space=(2, 3)):
    return np.array(values, np.float32).reshape(-1, 1, *(1 for _ in space)) * np.ones((1, 1, *space), np.float32)


@pytest.mark.parametrize("space", [(2, 3), (2, 3, 4)])
@pytest.mark.parametrize(
    ("zeros", "ones", "expected"),
    [
        ([-1, 0], [1, 2], 1),
        ([1, 2], [-1, 0], 0),
        ([0, 2], [1, 3], 0.75),
        ([1, 1], [1], 0.5),
        ([0.5], [0.25, 0.75], 0.5),
    ],
)
def test_a_few_images_by_hand(space, zeros, ones, expected):
    images, labels = flat(zeros + ones, space), np.array([0] * len(zeros) + [1] * len(ones))
    found = auc.score(Brightness(), images, labels)
    assert found.shape == (1,), "one number for all images"
    assert found[0] == pytest.approx(expected)


def test_it_is_the_chance_that_a_one_lies_above_a_zero():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 40)
    means = np.round(random.normal(labels, 1), 1)  # rounded, so that some are equal
    pairs = list(itertools.product(means[labels == 1], means[labels == 0]))
    chance = np.mean([0.5 if one == zero else float(one > zero) for one, zero in pairs])
    images = np.stack([np.full((1, 2, 4), mean, np.float32) for mean in means])
    assert any(one == zero for one, zero in pairs)
    assert auc.score(Brightness(), images, labels)[0] == pytest.approx(chance)


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_class_alone_there_is_none(label):
    found = auc.score(Brightness(), flat([0.1, 0.2]), np.array([label, label]))
    assert np.isnan(found).tolist() == [True]
