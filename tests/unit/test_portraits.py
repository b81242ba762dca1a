"""Drawn faces: whether one smiles shows at the mouth and the cheeks and nowhere else."""

import numpy as np
import pytest

from evidence import portraits

NATIVE = 96


def drawn(seed, native=NATIVE, **how):
    return portraits.draw(np.random.default_rng(seed), native, **how)


def test_colours_from_0_to_1():
    for native in (32, NATIVE):
        image = drawn(0, native, smiling=True).image
        assert image.shape == (3, native, native)
        assert image.dtype == np.float32
        assert 0 <= image.min() < 0.2
        assert 0.5 < image.max() <= 1


def test_a_face_is_a_function_of_its_random_numbers():
    np.testing.assert_array_equal(drawn(3, smiling=True).image, drawn(3, smiling=True).image)
    assert not np.array_equal(drawn(3, smiling=True).image, drawn(4, smiling=True).image)


@pytest.mark.parametrize("close", [False, True])
def test_a_smile_is_all_that_differs(close):
    row, column = np.indices((NATIVE, NATIVE)) / (NATIVE - 1) * 2 - 1
    rows = []
    for seed in range(20):
        calm, glad = (drawn(seed, smiling=smiling, close=close) for smiling in (False, True))
        assert (calm.hair, calm.glasses, calm.beard) == (glad.hair, glad.glasses, glad.beard)
        change = np.abs(glad.image - calm.image).sum(0)
        assert 0.003 < (change > 0.1).mean() < 0.15
        assert (change < 0.01).mean() > 0.6
        assert (change[: NATIVE * 2 // 5] < 0.01).all(), "eyes and forehead"
        rows.append([np.average(row, weights=change), np.average(column, weights=change)])
    down, across = np.mean(rows, axis=0)
    assert 0.3 < down < 0.7
    assert abs(across) < 0.1


def test_corners_of_a_smiling_mouth_are_higher_than_its_middle():
    """Painted on a plain skin, lips and what is between them have another hue; shadows do not."""
    canvas, skin = portraits.Canvas(NATIVE, (0.0, 0.0), 1.0, 0.0), np.array([0.8, 0.6, 0.5])
    for smiling in (True, False):
        bends = []
        for seed in range(20):
            canvas.image[:] = skin[:, None, None]
            portraits._mouth(np.random.default_rng(seed), canvas, skin, smiling)
            mouth = np.abs(canvas.image[0] / canvas.image[1] - skin[0] / skin[1]) > 0.15
            middle, corners = (
                canvas.v[mouth & (np.abs(canvas.u) > low) & (np.abs(canvas.u) < high)].mean()
                for low, high in ((0, 0.06), (0.14, 0.2))
            )
            bends.append(corners - middle)
        assert (np.mean(bends) < -0.02) == smiling


def test_who_it_is_does_not_depend_on_the_size():
    large = drawn(5, 96, smiling=True).image.reshape(3, 24, 4, 24, 4).mean((2, 4))
    small = drawn(5, 48, smiling=True).image.reshape(3, 24, 2, 24, 2).mean((2, 4))
    assert np.abs(large - small).mean() < 0.03


def test_faces_differ():
    many = [drawn(seed, 48, smiling=False) for seed in range(60)]
    assert {each.hair for each in many} == set(portraits.HAIR)
    for trait in ("glasses", "beard", "parted"):
        assert 0.03 < np.mean([getattr(each, trait) for each in many]) < 0.5
    assert np.std([each.image.mean() for each in many]) > 0.05
