"""Class activation maps against the definition and skimage's resizing."""

import numpy as np
import pytest
import torch
from skimage.transform import resize
from torch import nn
from torch.nn.functional import interpolate

from evidence.attribution.cam import attribute
from evidence.errors import BadInput
from evidence.networks.blocks import INTERPOLATION
from evidence.networks.c3d import Classifier, class_activation
from evidence.networks.lean import MaxPool


@pytest.fixture
def trained(kind, classifier_of) -> Classifier:
    return classifier_of(kind, "cam")


def activation(network, images, label):
    """The weighted sum, channel after channel; its mean over the map is the class's logit."""
    with torch.no_grad():
        features = network.trunk(images)
    weights = network.head.dense.weight.detach()[label]
    total = sum(weight * features[:, k] for k, weight in enumerate(weights))
    torch.testing.assert_close(total.flatten(1).mean(1), network(images)[:, label], rtol=1e-4, atol=1e-5)
    return total.numpy()


@pytest.mark.parametrize("label", [0, 1])
def test_agrees_with_the_definition_and_skimage(classifier, images, same, label):
    """Resize with zeros assumed outside, as the released code does, and only then the positive part."""
    expected = [
        resize(one, images.shape[2:], order=1, mode="constant", cval=0, anti_aliasing=False)
        for one in activation(classifier, images, label)
    ]
    assert np.min(expected) < 0 < np.max(expected), "only a map of both signs tells the positive part from the rest"
    maps = attribute(images, classifier, label=label)
    assert maps.dtype == torch.float32
    same(maps, torch.from_numpy(np.maximum(expected, 0))[:, None], 1e-5)


def test_the_border_can_be_that_of_torch(kind, classifier, images, same):
    scores = class_activation(classifier, images, 1)
    expected = interpolate(scores, scale_factor=4, mode=INTERPOLATION[images.dim() - 2]).clamp(min=0)
    same(attribute(images, classifier, border="edge"), expected, 1e-5)


class Constant(nn.Module):
    def forward(self, images):
        return torch.ones(len(images), 64, *images.shape[2:])


def test_zeros_outside_darken_the_rim_of_a_constant_map(classifier, images):
    """The outermost pixel lies 1.5 of 4 pixels from the middle of its cell: 5/8 of the way from zero to one."""
    dims = images.dim() - 2
    classifier.trunk = nn.Sequential(Constant(), MaxPool(), MaxPool())
    classifier.head.dense.weight.data.fill_(1 / 64)
    flat = attribute(images, classifier, border="edge")
    torch.testing.assert_close(flat, torch.ones_like(flat))
    dark = attribute(images, classifier)
    assert torch.equal(dark.amax(0), dark.amin(0))
    torch.testing.assert_close(dark.flatten(1)[:, 0], torch.full((3,), 0.625**dims))
    row = dark[0, 0][(..., *(8 for _ in images.shape[3:]), slice(None))]
    expected = torch.ones(images.shape[-1])
    expected[:2] = torch.tensor([0.625, 0.875])
    expected[-2:] = torch.tensor([0.875, 0.625])
    torch.testing.assert_close(row, expected)


@pytest.mark.parametrize("size", [(21, 30), (9, 25), (13, 16, 18)])
def test_an_odd_size_is_the_beginning_of_the_next_multiple(size, same):
    """Pooling rounds up, so the last feature lies partly outside; the ones before keep their places."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = Classifier(size=size, head="cam", width=4).eval().requires_grad_(False)
        images = torch.randn(2, 1, *size)
    scores = class_activation(network, images, 1)
    assert scores.shape[2:] == tuple(-(-s // 4) for s in size)
    whole = interpolate(scores, scale_factor=4, mode=INTERPOLATION[len(size)]).clamp(min=0)
    same(attribute(images, network, border="edge"), whole[(..., *(slice(s) for s in size))], 1e-5)
    assert attribute(images, network).shape == images.shape


def test_a_label_without_weights_has_no_map(classifier, images):
    classifier.head.dense.weight.data[1] = 0
    assert not attribute(images, classifier, label=1).any()
    assert attribute(images, classifier, label=0).any()


def test_an_image_does_not_see_its_batch(classifier, images, same):
    maps = attribute(images, classifier)
    assert maps.shape == (3, 1, *images.shape[2:])
    same(maps[1:2], attribute(images[1:2], classifier))


def test_other_heads_are_refused(kind, classifier_of, images):
    with pytest.raises(BadInput, match="head='cam'"):
        attribute(images, classifier_of(kind, "dense").eval())


def test_networks_and_images_are_left_as_they_were(trained, images, untouched):
    with untouched(trained, images):
        maps = attribute(images, trained)
    assert not maps.requires_grad


@pytest.mark.parametrize("broken", ["forward"], indirect=True)
def test_also_after_an_error(broken, images, untouched):
    with pytest.raises(RuntimeError, match="on purpose"), untouched(broken, images):
        attribute(images, broken)
