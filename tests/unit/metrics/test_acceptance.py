"""What became of adversaries and stable images, by a generator whose answers are known."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.metrics.acceptance import score


class Bright(nn.Module):
    def forward(self, images):
        z = 10 * (images.flatten(1).mean(1) - 0.5)
        return torch.stack([-z, z], 1)


class Shift(nn.Module):
    """The start is the image and a bit, the adversary of every image a dark one."""

    def path(self, images, labels):
        assert labels.tolist() == (images.flatten(1).mean(1) >= 0.5).long().tolist()
        return images + 0.1, torch.full_like(images, 0.2)


def test_each_image_is_judged_by_itself():
    levels = np.array([0.1, 0.45, 0.55, 0.9] * 20, np.float32)
    images = np.ones((80, 1, 4, 6), np.float32) * levels[:, None, None, None]
    found = score(images, Bright(), Shift())
    np.testing.assert_array_equal(found["flip"], levels >= 0.5)
    np.testing.assert_array_equal(found["stable"], levels != np.float32(0.45))
    np.testing.assert_allclose(found["change"], np.abs(levels - 0.2), atol=1e-6)
    np.testing.assert_allclose(found["residue"], 0.1, atol=1e-6)


def test_a_network_without_adversaries_is_refused():
    with pytest.raises(BadInput, match="a Bright makes no adversaries"):
        score(np.zeros((1, 1, 4, 4), np.float32), Bright(), Bright())
