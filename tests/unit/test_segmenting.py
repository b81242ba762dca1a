"""Segments: the released search's own results on MNIST, and what happens where it would go on for ever."""

import gzip

import numpy as np
import pytest

from evidence.errors import BadInput
from evidence.segmenting import cut, quickshift, slic

PUBLISHED = {3: 4.0, 2: 3.18125, 1: 4.0, 18: 3.8, 4: 3.828125, 8: 3.7125, 11: 3.8, 0: 3.5, 61: 3.7, 7: 3.35}
AT_FIRST = {3: 35, 2: 17, 1: 24, 18: 40, 4: 22, 8: 36, 11: 33, 0: 21, 61: 31, 7: 23}  # segments at a distance of 3


@pytest.fixture(scope="module")
def digits(real_data):
    raw = gzip.decompress((real_data / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:80] / 255


@pytest.mark.parametrize("number", PUBLISHED)
def test_the_search_ends_where_the_released_one_does(digits, number):
    """The greatest distance of each of GANchors' ten digits, and fifteen segments."""
    found = quickshift(digits[number], 15)
    assert found.distance == pytest.approx(PUBLISHED[number], abs=1e-9)
    assert found.count == 15
    assert set(np.unique(found.labels)) == set(range(15))
    assert found.areas.sum() == 28 * 28
    assert quickshift(digits[number], AT_FIRST[number]).tries == 1


def test_a_search_that_does_not_end_is_given_up_with_what_came_nearest(digits):
    found = [quickshift(digit, 15, tries=60) for digit in digits[:30]]
    missed = [each for each in found if each.count != 15]
    assert missed, "some of them reach no fifteen"
    for each in missed:
        assert each.tries == 60
        assert abs(each.count - 15) <= 3
        assert each.labels.max() + 1 == each.count


def test_more_segments_than_pixels_end_too():
    picture = np.random.default_rng(0).random((1, 4, 4))
    found = quickshift(picture, 40)
    assert found.count <= 16
    assert found.tries < 400


def test_a_picture_of_one_colour_is_cut_into_what_there_is():
    blank = np.zeros((1, 12, 12))
    assert cut(blank, 15, tries=50).count >= 1
    assert cut(blank, 15, kind="slic").count >= 1


def test_slic_cuts_connected_pieces_of_like_size():
    picture = np.broadcast_to(np.linspace(0, 1, 60)[:, None] * np.linspace(1, 0.5, 60), (3, 60, 60))
    found = cut(picture, 10, kind="slic", compactness=20.0)
    assert 6 <= found.count <= 14
    assert found.areas.min() > 60 * 60 / 40
    assert np.array_equal(found.labels, slic(picture, 10, 20.0).labels)


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(BadInput, match=r"1 or 3 channels, not the shape \(2, 8, 8\)"):
        cut(np.zeros((2, 8, 8)), 15)
    with pytest.raises(BadInput, match="1 segment or more, not 0"):
        cut(np.zeros((1, 8, 8)), 0)
