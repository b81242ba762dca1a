"""Outline, filling and blur: closed forms, and what score means what."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter
from scipy.special import erf

from evidence.errors import BadInput
from evidence.metrics import edge

SPACES = [(28, 40), (28, 40, 24)]
SQUARE = {n: np.ones((3,) * n) for n in (2, 3)}


def box(space, side=12):
    truth = np.zeros((1, 1, *space), np.uint8)
    truth[(0, 0, *(slice(n // 2 - side // 2, n // 2 + side // 2) for n in space))] = 1
    return truth


def filled(truth):
    return 3e-5 * truth


def inner_outline(truth):
    return truth - binary_erosion(truth[0, 0], SQUARE[truth.ndim - 2])[None, None]


def outer_outline(truth):
    return binary_dilation(truth[0, 0], SQUARE[truth.ndim - 2])[None, None] - truth.astype(float)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (filled, 0.5),
        (lambda truth: np.ones(truth.shape), 0.5),
        (inner_outline, 1),
        (outer_outline, 1),
        (lambda truth: filled(truth) - outer_outline(truth), 0.5),  # what is negative does not count
        (lambda truth: 1.0 - truth, 1),
        (lambda truth: np.zeros(truth.shape), np.nan),
    ],
    ids=["filled", "constant", "outline inside", "outline outside", "filled in a dark ring", "hole", "nothing"],
)
def test_closed_forms(space, width, draw, expected):
    truth = box(space)
    found = edge.score(draw(truth).astype(np.float32), truth, width=width)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [expected])


def test_an_outline_upon_a_filling_by_hand():
    """A box of 12 with 1 inside and 3 on its outermost pixels: the rim of two has 44 of these and 36 others."""
    truth = box((28, 40))
    maps = truth + 2.0 * inner_outline(truth)
    rim = (3 * 44 + 36) / 80
    np.testing.assert_allclose(edge.score(maps, truth), [rim / (rim + 1)])


@pytest.mark.parametrize("sigma", [1.0, 2.5, 6.0])
def test_blur_lies_below_and_has_a_closed_form(sigma):
    """A stripe across the whole image has two borders and no corner: the Gaussian's distribution function."""
    truth = np.zeros((1, 1, 112, 30), np.uint8)
    truth[:, :, 46:66] = 1
    rows = np.arange(112) + 0.5
    profile = (erf((rows - 46) / sigma / 2**0.5) - erf((rows - 66) / sigma / 2**0.5)) / 2
    r, i = profile[[46, 47, 64, 65]].mean(), profile[48:64].mean()
    found = edge.score(gaussian_filter(truth.astype(float), (0, 0, sigma, 0)), truth)
    np.testing.assert_allclose(found, r / (r + i), atol=0.003)
    assert (found < 0.475).all()


@pytest.mark.parametrize(("sigma", "expected"), [(0.5, 0.485), (1, 0.446), (2.5, 0.395), (6, 0.403), (10, 0.441)])
def test_what_a_blurred_box_of_the_paper_scores(sigma, expected):
    truth = box((112, 112), side=20)
    blurred = gaussian_filter(truth.astype(float), (0, 0, sigma, sigma))
    np.testing.assert_allclose(edge.score(blurred, truth), expected, atol=0.0006)


def test_the_border_of_the_image_is_no_border_of_the_truth():
    truth = np.zeros((1, 1, 20, 30), np.uint8)
    truth[:, :, :, :12] = 1
    maps = np.zeros(truth.shape)
    maps[..., 0] = maps[:, :, 0] = 1
    assert (edge.score(maps, truth) < 0.5).all(), "a frame around the image is no outline of the effect"


@pytest.mark.parametrize("space", SPACES)
def test_what_is_too_small_has_no_interior_and_spoils_no_other(space):
    truth = np.concatenate([box(space, 4), box(space, 6), np.ones_like(box(space)), box(space)])
    assert np.isnan(edge.score(np.ones(truth.shape), truth)).tolist() == [True, False, True, False]


def test_a_rim_without_width_is_refused():
    with pytest.raises(BadInput, match="width: the rim has to be a pixel wide or more, not 0"):
        edge.score(np.ones((1, 1, 8, 8)), box((8, 8), 4), width=0)


@pytest.mark.parametrize(("share", "least", "most"), [(1.0, 0.503, 0.52), (0.01, 0.55, 0.65)])
def test_noise_lies_a_little_above_a_filled_box_and_the_more_the_sparser_it_is(share, least, most):
    """So a claim about edges has to be held against noise, too."""
    random, truth = np.random.default_rng(0), np.repeat(box((112, 112), side=20), 400, 0)
    noise = np.abs(random.normal(size=truth.shape)) * (random.random(truth.shape) < share)
    assert least < np.nanmean(edge.score(noise, truth)) < most
