"""NCC on masks and on signed effects."""

import numpy as np
import pytest

from evidence.metrics import ncc


@pytest.mark.parametrize("space", [(7, 8), (7, 8, 9)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_the_truth_is_best_its_negative_worst_and_nothing_is_nan(space, kind):
    truth = (np.random.default_rng(0).normal(size=(3, 1, *space)) > 0.5).astype(kind)
    maps = 2 * truth.astype(np.float32)
    maps[1] *= -1
    maps[2] = 0
    found = ncc.score(maps, truth)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [1, -1, np.nan])
    assert ncc.BETTER == "higher"
    assert ncc.RANGE == (-1, 1)


def test_two_pixels_by_hand():
    """Of four pixels one is marked; the map marks it and a second: 1/√3."""
    truth = np.array([1, 0, 0, 0], np.uint8).reshape(1, 1, 1, 4)
    maps = np.array([1, 1, 0, 0], np.float32).reshape(1, 1, 1, 4)
    np.testing.assert_allclose(ncc.score(maps, truth), [3**-0.5])
