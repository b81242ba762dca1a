"""How much of a map lies on the effect."""

import numpy as np
import pytest

from evidence.metrics import relevance_mass


@pytest.mark.parametrize("space", [(6, 8), (6, 8, 5)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_closed_forms(space, kind):
    """The truth, its complement, a constant, half of the mass, what is negative, and nothing positive at all."""
    truth = np.zeros((6, 1, *space), kind)
    truth[:, :, :3] = 1
    maps = np.ones((6, 1, *space), np.float32)
    maps[0] = 2 * truth[0]
    maps[1] = 1 - truth[1]
    maps[3, :, 3:] *= 3
    maps[4, :, 3:] = -5
    maps[5] = -1
    np.testing.assert_allclose(relevance_mass.score(maps, truth), [1, 0, 0.5, 0.25, 1, np.nan])


def test_the_truth_is_where_an_effect_is_positive():
    effect = np.array([2.0, -3.0, 0.0, 0.5]).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(relevance_mass.score(np.array([1.0, 1, 1, 3]).reshape(1, 1, 2, 2), effect), [4 / 6])


def test_faint_maps_keep_their_score():
    truth = (np.random.default_rng(0).uniform(size=(3, 1, 6, 8)) > 0.5).astype(np.uint8)
    maps = np.random.default_rng(1).normal(size=truth.shape)
    expected = relevance_mass.score(maps, truth)
    np.testing.assert_allclose(relevance_mass.score((1e-30 * maps).astype(np.float32), truth), expected, rtol=1e-5)
