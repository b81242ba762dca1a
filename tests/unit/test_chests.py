"""Drawn chests: air is dark, and an opacity lies in the lungs, brightens them, and leaves all else as it was."""

import numpy as np

from evidence import chests

NATIVE = 72


def drawn(seed=0):
    random = np.random.default_rng(seed)
    return chests.draw(random, NATIVE), random


def test_there_are_two_lungs_and_they_are_darker_than_the_chest_around_them():
    for seed in range(10):
        chest, _ = drawn(seed)
        air = chest.lungs > 0.5
        assert air[:, : NATIVE // 2].any()
        assert air[:, NATIVE // 2 :].any()
        around = (chest.lungs == 0) & (np.hypot(chest.x, chest.y) < 0.6)
        assert np.median(chest.image[air]) < 0.6 * np.median(chest.image[around])


def test_coordinates_are_across_and_down_and_two_borders_apart():
    chest, _ = drawn()
    np.testing.assert_allclose(np.diff(chest.x, axis=1), 2 / (NATIVE - 1), rtol=1e-4)
    np.testing.assert_allclose(np.diff(chest.y, axis=0), 2 / (NATIVE - 1), rtol=0.02)  # after the tilt of x
    np.testing.assert_allclose([chest.x.mean(), chest.y.mean()], 0, atol=0.15)


def test_an_opacity_lies_where_it_is_put_and_only_in_the_lungs():
    for side in (-1, 1):
        chest, random = drawn()
        where = chests.spot(random, chest, (0.36 * side, -0.1), (0.15, 0.3))
        assert 0.9 < where.max() <= 1
        assert (where[chest.lungs == 0] == 0).all()
        assert np.isclose(np.average(chest.x, weights=where), 0.36 * side, atol=0.05)
        assert np.isclose(np.average(chest.y, weights=where), -0.1, atol=0.08)
        height, width = (np.sqrt(np.average(axis**2, weights=where)) for axis in (chest.y + 0.1, chest.x - 0.36 * side))
        assert height > 1.4 * width


def test_an_opacity_brightens_its_place_and_nothing_else():
    chest, random = drawn()
    where = chests.spot(random, chest, (0.36, 0.0), (0.2, 0.2))
    whole, half = (chests.clouded(np.random.default_rng(1), chest.image, where, strength) for strength in (0.8, 0.4))
    np.testing.assert_array_equal(whole[where == 0], chest.image[where == 0])
    assert (whole - chest.image)[where > 0.5].min() > 0
    np.testing.assert_allclose(whole - chest.image, 2 * (half - chest.image), atol=1e-6)
    np.testing.assert_array_equal(chests.clouded(random, chest.image, where, 0.0), chest.image)
