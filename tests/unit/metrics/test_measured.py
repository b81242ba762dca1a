"""Scores of what methods measured of themselves: inversions, restarts, realisations and traversals."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, rankdata

from evidence.errors import BadInput
from evidence.metrics import completeness, convergence, monotony, realised, reconstruction


def drawn(names, valid, **columns):
    random = np.random.default_rng(0)
    table = pd.DataFrame({name: random.uniform(size=len(valid)) for name in names})
    return table.assign(sample=range(7, 7 + len(valid)), valid=np.array(valid, float), **columns)


def test_images_that_were_not_inverted_have_no_convergence():
    names = ("cosine", "cosine_z1", "cosine_z2", "cosine_features", "ssim")
    table = drawn((*names, "mse"), [1, 0, 1])
    found = convergence.score(table)
    assert tuple(found) == names
    for name in names:
        np.testing.assert_array_equal(found[name], [table[name][0], np.nan, table[name][2]])


def test_images_that_were_not_inverted_have_an_error():
    table = drawn(("mse", "bce", "before", "after", "iterations"), [1, 0, 1])
    images = np.random.default_rng(0).uniform(-1, 1, (3, 1, 4, 5)).astype(np.float32)
    training = np.concatenate([images[1:] + 0.1, -images])
    found = reconstruction.score(table, images, training)
    for name in ("mse", "bce", "before", "after", "valid"):
        np.testing.assert_array_equal(found[name], table[name])
    np.testing.assert_allclose(found["of_nearest"][1:], 0.01, rtol=1e-5)
    apart = ((images[0] - training) ** 2).mean((1, 2, 3)).min()
    np.testing.assert_allclose(found["of_nearest"][0], apart, rtol=1e-5)
    np.testing.assert_allclose(found["of_mean"], ((images - training.mean(0)) ** 2).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(found["nearer"], found["mse"] < found["of_mean"])
    assert next(iter(found)) == "mse", "BETTER is of the first"


def test_a_map_misses_the_gain_whichever_way():
    names = ("completeness", "path_completeness", "negative", "positive")
    table = pd.DataFrame([[-0.4, 0.01, 0.1, 0.9], [0.3, -0.02, 0.2, 0.1], [0.1, 0.1, 0.0, 1.0]], columns=list(names))
    found = completeness.score(table.assign(valid=[1.0, 1.0, 0.0]))
    np.testing.assert_allclose(found["lig"], [0.4, 0.3, np.nan])
    np.testing.assert_allclose(found["path"], [0.01, 0.02, np.nan])
    np.testing.assert_allclose(found["gain"], [0.8, -0.1, np.nan])


def test_realisations_are_right_where_the_negative_is_one_and_the_others_are_not():
    rows = [[0.1, 0.9, 0.8, 0.5], [0.1, 0.9, 0.2, 0.3], [0.7, 0.2, 0.1, 0.0]]
    table = pd.DataFrame(rows, columns=["p_negative", "p_first", "p_second", "p_third"])
    found = realised.score(table)
    assert list(found) == ["right", "negative", "first", "second", "third"]
    assert found["right"].tolist() == [1.0, 0.5, 0.0]
    assert found["second"].tolist() == [0.8, 0.2, 0.1]


# --- traversals -------------------------------------------------------------------------------------------------------


def frames(*rows, valid=None):
    table = pd.DataFrame(np.array(rows, float), columns=list(monotony.FRAMES))
    return table.assign(valid=np.ones(len(rows)) if valid is None else valid)


RISING = np.linspace(0.1, 0.9, 11)


def test_a_way_that_rises_falls_or_stays():
    dip, late = RISING.copy(), np.zeros(11)
    dip[4] = 0
    late[10] = 1
    found = monotony.score(frames(RISING, RISING[::-1], dip, late, np.full(11, 0.5)))
    np.testing.assert_array_equal(found["monotone"], [1, 0, 0, 1, 1])
    np.testing.assert_allclose(found["rise"], [0.8, -0.8, 0.8, 1, 0])
    np.testing.assert_allclose(found["spearman"][[0, 1]], [1, -1])
    np.testing.assert_allclose(found["spearman"][2], 1 - 6 * (4**2 + 4 * 1) / (11 * 120))  # one falls 4 ranks, 4 rise 1
    assert np.isnan(found["spearman"]).tolist() == [False, False, False, False, True]
    assert found["p04"].tolist() == pytest.approx([0.42, 0.58, 0, 0, 0.5])
    np.testing.assert_array_equal(found["crosses"], [1, 0, 1, 1, 0])


def test_a_way_from_what_is_no_negative_does_not_change_class_and_may_never_fall():
    found = monotony.score(frames(np.ones(11), np.linspace(0.5, 1, 11), np.linspace(0.4, 0.5, 11)))
    assert found["monotone"].tolist() == [1, 1, 1]
    assert found["crosses"].tolist() == [0, 0, 1]


def test_rank_correlation_is_pearsons_of_the_ranks():
    rows = np.round(np.random.default_rng(3).uniform(size=(30, 11)), 1)  # rounded, so that some are equal
    found = monotony.score(frames(*rows))
    expected = [np.corrcoef(rankdata(row), np.arange(11))[0, 1] for row in rows]
    np.testing.assert_allclose(found["spearman"], expected)
    rising = np.sort(rows, 1)
    sorted_ones = monotony.score(frames(*rising))
    assert sorted_ones["monotone"].all()
    assert not found["monotone"].all()
    assert all((kendalltau(row, np.arange(11)).statistic > 0) for row in rising)
    assert (sorted_ones["spearman"] > 0.9).all()


def test_float_noise_is_no_fall_unless_one_asks():
    noisy = RISING.copy()
    noisy[6] = noisy[5] - 5e-7
    assert monotony.score(frames(noisy))["monotone"].tolist() == [1]
    assert monotony.score(frames(noisy), tolerance=0.0)["monotone"].tolist() == [0]
    assert monotony.score(frames(noisy), tolerance=1e-7)["monotone"].tolist() == [0]


def test_images_that_were_not_inverted_have_no_way():
    found = monotony.score(frames(RISING, RISING, valid=[0.0, 1.0]))
    assert list(found) == ["monotone", "nearly", "spearman", "rise", "crosses", *monotony.FRAMES]
    for values in found.values():
        assert np.isnan(values).tolist() == [True, False]
    assert found["monotone"][1] == 1


def test_nearly_monotone_is_what_never_falls_far_however_many_steps_it_takes():
    slowly = [0.1, 0.5, 0.9, 0.896, 0.892, 0.888, 0.95, 1.0, 1.0, 1.0, 1.0]
    once = [0.1, 0.5, 0.9, 0.895, 0.95, 1.0, 1.0, 0.999, 1.0, 0.995, 1.0]
    found = monotony.score(frames(RISING, slowly, once))
    assert found["monotone"].tolist() == [1, 0, 0]
    assert found["nearly"].tolist() == [1, 0, 1]
    assert monotony.score(frames(slowly), slack=0.02)["nearly"].tolist() == [1]
    with pytest.raises(BadInput, match="slack: 0.0 has to be"):
        monotony.score(frames(RISING), slack=0.0)


@pytest.mark.parametrize("tolerance", [-1e-6, 1.0])
def test_a_tolerance_of_anything_is_refused(tolerance):
    with pytest.raises(BadInput, match=f"tolerance: {tolerance}"):
        monotony.score(frames(RISING), tolerance=tolerance)
