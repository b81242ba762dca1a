"""The curves of AOPC and R as Quantus (Hedström et al., 2023) computes them, our translations being what replaces."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from bench.paths import replacing
from evidence.metrics import aopc, relevance

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    quantus = pytest.importorskip("quantus")


class Translator(nn.Module):
    """Turns images upside down, whatever the class."""

    def translate(self, images, labels):
        return images.flip(2)


class Probabilities(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        return self.network(images).softmax(1)


@pytest.fixture
def case(monkeypatch):
    """Eight images, maps of them, and a small network that decides both ways."""
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")
    torch.manual_seed(1)
    images = np.random.default_rng(0).normal(size=(8, 1, 16, 16)).astype(np.float32)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 5), nn.Softplus(), nn.Flatten(), nn.BatchNorm1d(576, affine=False), nn.Linear(576, 2)
    )
    with torch.no_grad():
        for _ in range(30):
            network(torch.from_numpy(images))
        decided = network.eval()(torch.from_numpy(images)).argmax(1).numpy()
    assert set(decided) == {0, 1}
    maps = np.random.default_rng(1).normal(size=images.shape).astype(np.float32)
    return images, maps, network, decided


def theirs(metric, images, maps, network, decided, **options):
    """A curve an image; pixels are replaced by those of the image upside down."""
    measure = metric(
        perturb_func=replacing(images[:, :, ::-1]),
        abs=False,
        normalise=False,
        return_aggregate=False,
        disable_warnings=True,
        **options,
    )
    given = {"model": Probabilities(network).eval(), "x_batch": images, "y_batch": decided, "a_batch": maps}
    return np.array(measure(**given, softmax=False, device="cpu", batch_size=len(images)))


def test_aopc(case):
    images, maps, network, decided = case
    drops = theirs(quantus.RegionPerturbation, images, maps, network, decided, patch_size=4, regions_evaluation=16)
    found = aopc.score(maps, images, decided, network, Translator(), region=4, every=1)
    for most in range(1, 17):
        np.testing.assert_allclose(found[str(most)], drops[:, :most].sum(1) / (most + 1), atol=1e-6)
    assert np.abs(drops).max() > 0.1, "something was lost, or there would be nothing to compare"


def test_the_areas_of_r(case):
    images, maps, network, decided = case
    found = relevance.score(maps, images, decided, network, Translator(), steps=64)
    with torch.no_grad():
        whole = network(torch.from_numpy(images)).softmax(1).numpy()[np.arange(len(images)), decided]
    for name, order in (("degradation", maps), ("preservation", -maps)):
        said = theirs(quantus.PixelFlipping, images, order, network, decided, features_in_step=4)
        curve = np.concatenate([whole[:, None], said], 1)
        np.testing.assert_allclose(found[name], np.trapezoid(curve, dx=1 / 64, axis=1), atol=1e-6)
