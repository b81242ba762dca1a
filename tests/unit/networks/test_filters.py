"""The Gaussian filter against SciPy's."""

import pytest
import torch
from scipy import ndimage

from evidence.networks.filters import gaussian


def drawn(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(2, 3, 20, 31), (2, 1, 9, 20, 12)])
@pytest.mark.parametrize(("border", "mode"), [("zero", "constant"), ("edge", "nearest")])
def test_it_is_scipys(shape, border, mode):
    images = drawn(*shape)
    found = gaussian(images, 1.5, border=border)
    for image, other in zip(images.flatten(0, 1), found.flatten(0, 1), strict=True):
        expected = ndimage.gaussian_filter(image.numpy(), 1.5, mode=mode, radius=6)
        torch.testing.assert_close(other, torch.from_numpy(expected))


def test_the_kernel_may_be_cut():
    images = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    images[0, 0, 10, 10] = 1
    found = gaussian(images, 3.0, taps=5)[0, 0]
    assert (found > 0).sum() == 25
    assert float(found.sum()) == pytest.approx(1)


def test_no_deviation_no_filter():
    images = drawn(1, 1, 5, 5)
    assert gaussian(images, 0.0) is images
