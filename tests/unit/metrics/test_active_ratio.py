"""How small maps are beside integrated gradients, which are known for a linear probability."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.attribution import integrated_gradients
from evidence.errors import BadInput
from evidence.metrics.active_ratio import score
from evidence.networks.c3d import Classifier


class Linear(nn.Module):
    """Two logits whose softmax is 1 - f and f, with f = 1/2 + w·x."""

    def __init__(self, w):
        super().__init__()
        self.w = torch.as_tensor(w, dtype=torch.float32)

    def forward(self, images):
        f = 0.5 + (images * self.w).flatten(1).sum(1)
        return torch.stack([1 - f, f], 1).log()


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")


def reaching(values, level):
    return np.array([(np.abs(each) >= level * np.abs(each).max()).mean() for each in values])


@pytest.mark.parametrize("shape", [(3, 8, 12), (1, 4, 6, 5)])
@pytest.mark.parametrize("baseline", [-1.0, 0.0])
def test_of_a_linear_probability_the_shares_are_known(shape, baseline):
    random = np.random.default_rng(0)
    images, maps = (random.uniform(-1, 1, (60, channels, *shape[1:])).astype(np.float32) for channels in (shape[0], 1))
    w = random.uniform(-1, 1, shape) * 0.1 / np.prod(shape)
    found = score(maps, images, Linear(w), baseline=baseline, level=0.3)
    gradients = ((images - baseline) * w).sum(1, keepdims=True)  # what one channel adds, another takes
    np.testing.assert_allclose(found["active"], reaching(maps, 0.3))
    np.testing.assert_allclose(found["reference"], reaching(gradients, 0.3), atol=1e-9)
    np.testing.assert_allclose(found["ratio"], found["active"] / found["reference"])
    assert found["reference"].std() > 0


def test_against_the_method_itself():
    """From mid-grey and with one channel, whose sign its absolute value hides."""
    torch.manual_seed(0)
    classifier = Classifier(size=(16, 24), width=2, hidden=4).eval()
    for name, parameter in classifier.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter)  # without, the gradient points the same way all along a ray from zeros
    images = np.random.default_rng(1).uniform(-1, 1, (3, 1, 16, 24)).astype(np.float32)
    middle, left = (
        integrated_gradients.attribute(torch.from_numpy(images), classifier, steps=2, rule=rule)[0].numpy()
        for rule in ("middle", "left")
    )
    found = score(middle, images, classifier.train(), steps=2, baseline=0.0)
    np.testing.assert_allclose(found["ratio"], 1)
    assert (score(left, images, classifier, steps=2, baseline=0.0)["ratio"] != 1).all()
    assert 0 < found["reference"].min() < found["reference"].max() < 1
    assert all(module.training for module in classifier.modules())


def test_a_pixel_alone_is_the_least_and_an_even_map_all():
    images = np.full((4, 1, 4, 6), 0.5, np.float32)
    maps = np.zeros((4, 1, 4, 6))
    maps[0, 0, 1, 2], maps[1], maps[2, 0, :2] = -3, 0.2, [[1.0], [0.0999]]
    found = score(maps, images, Linear(np.full((1, 4, 6), 0.01)))
    np.testing.assert_allclose(found["ratio"], [1 / 24, 1, 6 / 24, np.nan])
    np.testing.assert_allclose(found["reference"], 1)


def test_pixels_as_dark_as_the_baseline_have_no_part():
    images = np.full((1, 1, 4, 6), 0.5, np.float32)
    images[0, 0, 0] = -1
    given = (np.ones((1, 1, 4, 6)), images, Linear(np.full((1, 4, 6), 0.01)))
    assert score(*given)["reference"] == pytest.approx([18 / 24])
    assert score(*given, baseline=0.0)["reference"] == pytest.approx([1])


def test_a_classifier_that_looks_at_nothing_is_no_reference():
    images = np.full((2, 1, 4, 6), 0.5, np.float32)
    found = score(images, images, Linear(np.zeros((1, 4, 6))))
    assert np.isnan(found["ratio"]).all()
    assert found["active"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"level": 0.0}, "level: 0.0 is no share"), ({"level": 1.1}, "level: 1.1"), ({"steps": 1}, "at least 2, not 1")],
)
def test_what_counts_nothing_is_refused(settings, words):
    images = np.zeros((1, 1, 2, 3), np.float32)
    with pytest.raises(BadInput, match=words):
        score(images, images, Linear(np.zeros((1, 2, 3))), **settings)
