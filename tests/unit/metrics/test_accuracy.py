"""Accuracy, image by image."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.metrics import accuracy


class Brightness(nn.Module):
    """Class 1 where the first pixel is bright, class 2 where it is very bright."""

    def forward(self, images):
        first = images.flatten(1)[:, 0]
        return torch.stack([torch.zeros_like(first), first, 3 * first - 1], 1)


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")


@pytest.mark.parametrize("space", [(2, 3), (2, 3, 4)])
def test_an_image_counts_one_if_its_most_probable_class_is_its_label(space):
    images = np.zeros((4, 1, *space), np.float32)
    images.reshape(4, -1)[:, 0] = [-1, 0.25, 2, 2]  # classes 0, 1, 2, 2
    found = accuracy.score(Brightness(), images, np.array([0, 1, 2, 1]))
    assert found.tolist() == [1, 1, 1, 0]
    assert found.dtype == np.float64
    assert accuracy.score(Brightness(), images, np.array([1, 0, 0, 0])).tolist() == [0, 0, 0, 0]
