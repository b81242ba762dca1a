"""The weight of the central effect: closed forms of two and more boxes."""

import numpy as np
import pytest

from evidence.metrics import central

SPACES = [(24, 30), (24, 30, 12)]


def boxes(space, *corners, side=4):
    """A truth (1, 1, *space) with a box at each corner, given along the first axis and the same for the others."""
    truth = np.zeros((1, 1, *space), np.uint8)
    for corner in corners:
        truth[(0, 0, slice(corner, corner + side), *(slice(0, side) for _ in space[1:]))] = 1
    return truth


def two(space):
    """A box in the middle and one in the corner, and their truth."""
    middle, corner = np.zeros((1, 1, *space)), np.zeros((1, 1, *space))
    middle[(0, 0, *(slice(n // 2 - 2, n // 2 + 2) for n in space))] = 1
    corner[(0, 0, *(slice(0, 3) for _ in space))] = 1
    return middle, corner, (middle + corner).astype(np.uint8)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("c", "o", "expected"),
    [(1, 1, 0.5), (1, 0, 1), (0, 1, 0), (3, 1, 0.75), (3, -5, 1), (0, 0, np.nan), (-1, -2, np.nan)],
)
def test_it_is_the_share_of_the_central_mean(space, c, o, expected):
    """Means, so that the smaller box counts as much a pixel; only what is positive; nothing of what lies outside."""
    middle, corner, truth = two(space)
    found = central.score(c * middle + o * corner + 9 * (truth == 0), truth)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [expected])


def test_scale_does_not_count():
    middle, corner, truth = two((24, 30))
    maps = np.concatenate([middle + 2 * corner] * 2) * np.array([1e-30, 1e30])[:, None, None, None]
    np.testing.assert_allclose(central.score(maps.astype(np.float32), np.concatenate([truth] * 2)), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize("space", SPACES)
def test_the_others_are_taken_together(space):
    """The mean over the pixels of all other effects; the one nearest the middle is found, wherever it stands."""
    truth = boxes(space, 1, 10, 18)
    maps = np.zeros(truth.shape)
    for corner, value in ((1, 2.0), (10, 6.0), (18, 1.0)):
        maps += value * boxes(space, corner)
    np.testing.assert_allclose(central.score(maps, truth), [6 / (6 + 1.5)])


def test_one_effect_or_none_has_no_score_and_spoils_no_other():
    space = (24, 30)
    truth = np.concatenate([boxes(space, 1), boxes(space), boxes(space, 1, 10)])
    assert np.isnan(central.score(np.ones(truth.shape), truth)).tolist() == [True, True, False]


def test_boxes_that_touch_at_a_corner_are_two():
    truth = np.zeros((1, 1, 8, 8), np.uint8)
    truth[..., 2:4, 2:4] = truth[..., 4:6, 4:6] = 1
    assert np.isfinite(central.score(np.ones(truth.shape), truth)).all()


def test_the_weaker_share_tells_a_half_from_one_alone_in_turn():
    middle, corner, truth = two((24, 30))
    maps, truths = np.concatenate([middle, corner, middle + 3 * corner, truth]), np.concatenate([truth] * 4)
    assert central.score(maps[:2], truths[:2]).mean() == 0.5, "even in the mean, and in neither"
    np.testing.assert_allclose(central.score(maps, truths, share="weaker"), [0, 0, 0.25, 0.5])
