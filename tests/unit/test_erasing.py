"""Which pixels a map points at, and what is left of an image; every rule is measured in test_confidence_drop too."""

import numpy as np
import pytest

from evidence.erasing import chosen, erased
from evidence.errors import BadInput

SPACES = [(5, 7), (3, 4, 5)]


@pytest.fixture(params=SPACES, ids=["slice", "volume"])
def maps(request):
    return np.random.default_rng(0).normal(size=(4, 1, *request.param)).astype(np.float32)


@pytest.mark.parametrize("rule", ["strong", "share", "jet"])
def test_pixels_are_chosen_map_by_map_and_as_it_is_shaped(maps, rule):
    where = chosen(maps, rule, 0.5, 0.25)
    assert where.shape == maps.shape
    assert where.dtype == bool
    for number in range(4):
        np.testing.assert_array_equal(where[number : number + 1], chosen(maps[number : number + 1], rule, 0.5, 0.25))


def test_strong_are_those_above_a_share_of_the_greatest_and_a_share_is_as_many_of_the_strongest(maps):
    for each, strong, some in zip(maps, chosen(maps, "strong", 0.6, 1.0), chosen(maps, "share", 0.0, 0.1), strict=True):
        np.testing.assert_array_equal(strong, np.abs(each) / np.abs(each).max() > 0.6)
        assert some.sum() == round(0.1 * each.size)
        assert np.abs(each)[some].min() > np.abs(each)[~some].max()


def test_a_map_of_the_released_rule_is_a_sum_over_channels(maps):
    np.testing.assert_array_equal(chosen(maps, "jet", 0.0, 1.0), chosen(3 * maps, "jet", 0.0, 1.0, channels=3))
    assert (chosen(maps, "jet", 0.0, 1.0) != chosen(3 * maps, "jet", 0.0, 1.0)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_chosen_becomes_the_mean_of_its_own_image_in_all_channels(maps, channels):
    images = np.random.default_rng(1).uniform(-1, 1, (4, channels, *maps.shape[2:])).astype(np.float32)
    images += np.arange(4, dtype=np.float32).reshape(4, *[1] * (maps.ndim - 1))
    where = maps > 0.3
    found = erased(images, where)
    assert found.dtype == np.float32
    for image, pixels, left in zip(images, where, found, strict=True):
        for channel in range(channels):
            np.testing.assert_array_equal(left[channel][~pixels[0]], image[channel][~pixels[0]])
            np.testing.assert_allclose(left[channel][pixels[0]], image.mean(), rtol=1e-5)


@pytest.mark.parametrize(("threshold", "share", "words"), [(1.0, 0.5, "threshold: 1"), (0.5, 0.0, "share: 0")])
def test_a_share_that_is_none_is_refused(maps, threshold, share, words):
    with pytest.raises(BadInput, match=words):
        chosen(maps, "strong", threshold, share)
