"""Mask perturbation against a twin that optimises one image at a time, and what its loss asks for."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from evidence.attribution import mask_perturbation
from evidence.attribution.mask_perturbation import attribute, variation

SPACE = (16, 24)


class Spot(nn.Module):
    """Decides for class 1 where the middle is bright beside its surroundings; blurring takes that away."""

    def forward(self, images):
        middle = images[:, :, 6:10, 10:14].mean((1, 2, 3))
        z = 30 * (middle - images.mean((1, 2, 3))) - 3
        return torch.stack([-z / 2, z / 2], 1)


@pytest.fixture
def images():
    drawn = 0.1 * torch.rand(2, 1, *SPACE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn[0, :, 6:10, 10:14] += 0.2  # where the classifier is not too sure for a slope
    return drawn


def test_the_mask_lies_on_what_the_decision_rests_on(images):
    maps, columns = attribute(images, Spot(), jitter=0, coarse=2, smooth=1.0, l1=1.0)
    assert maps.shape == images.shape
    assert maps.min() >= 0
    assert maps.max() <= 1 + 1e-9
    inside = maps[0, 0, 6:10, 10:14].mean()
    assert inside > 0.5
    assert inside > 3 * maps[0, 0].mean()
    assert columns["before"][0] > 0.9
    assert columns["after"][0] < 0.5
    assert columns["before"][1] > 0.5, "of the class that is decided for, whichever it is"


def test_one_step_is_that_of_the_twin(images):
    """Enlarging and filtering by SciPy, gradients by differences."""
    options = {"coarse": 4, "smooth": 1.5, "blur": 2.0, "l1": 0.01, "tv": 0.7, "beta": 3.0, "jitter": 0}
    image = images[:1]
    blurred = ndimage.gaussian_filter(image[0, 0].numpy(), 2.0, mode="nearest", radius=8)

    def loss(mask):
        large = nn.functional.interpolate(torch.from_numpy(mask)[None, None], SPACE, mode="bilinear")[0, 0].numpy()
        kept = ndimage.gaussian_filter(large, 1.5, mode="nearest", radius=6)
        mixed = torch.from_numpy(image[0, 0].numpy() * kept + blurred * (1 - kept))
        p = float(Spot()(mixed[None, None]).softmax(1)[0, 1])
        rows, columns = np.diff(mask, axis=0), np.diff(mask, axis=1)
        smoothness = (np.abs(rows) ** 3).mean() + (np.abs(columns) ** 3).mean()
        return p + 0.01 * (1 - mask).mean() + 0.7 * smoothness

    start = np.ones((4, 6))
    slope = np.zeros_like(start)
    for place in np.ndindex(start.shape):
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * 1e-6
            slope[place] += sign * loss(moved) / 2e-6
    # Adam's first step is as long as the rate wherever there is a slope; 1 is the most a mask may be
    mask = np.clip(start - 0.1 * np.sign(slope), 0, 1)
    large = nn.functional.interpolate(torch.from_numpy(mask)[None, None], SPACE, mode="bilinear")[0, 0].numpy()
    expected = 1 - ndimage.gaussian_filter(large, 1.5, mode="nearest", radius=6)
    found, _ = attribute(image, Spot(), iterations=1, **options)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-6)
    assert 0 < (mask < 1).sum() < mask.size


def test_the_variation_is_a_mean_over_neighbours():
    masks = torch.tensor([[0.0, 1.0, 3.0], [0.0, 0.0, 0.0]], dtype=torch.float64).view(1, 1, 2, 3)
    assert variation(masks, 2.0).tolist() == [pytest.approx((1 + 4) / 4 + (1 + 9) / 3)]
    assert variation(masks.view(1, 1, 1, 2, 3), 2.0).tolist() == variation(masks, 2.0).tolist()


def test_moves_are_the_same_for_every_image_and_batch(images):
    together, _ = attribute(images, Spot(), iterations=5)
    alone, _ = attribute(images[1:], Spot(), iterations=5)
    torch.testing.assert_close(together[1:], alone)


def test_moves_are_small_and_go_around_the_border(images, monkeypatch):
    seen = []
    plain = torch.Tensor.roll
    monkeypatch.setattr(
        torch.Tensor, "roll", lambda self, move, axes: seen.append(tuple(move)) or plain(self, move, axes)
    )
    mask_perturbation.attribute(images, Spot(), iterations=60, jitter=2)
    assert {abs(m) for move in seen for m in move} == {0, 1, 2}
    assert seen[-2:] == [(0, 0), (0, 0)], "what is measured in the end stands still"
