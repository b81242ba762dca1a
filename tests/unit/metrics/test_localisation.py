"""IoU and the paper's FNR against counting by hand, each other, and the numbers of the published tables."""

import numpy as np
import pytest

from evidence.metrics import fnr, iou
from evidence.statistics import top


def ranked(shape=(1, 1, 10, 20), seed=0):
    """Maps without ties: each pixel its rank."""
    random = np.random.default_rng(seed)
    count = int(np.prod(shape[1:]))
    return np.stack([random.permutation(count).reshape(shape[1:]) for _ in range(shape[0])]).astype(np.float32)


@pytest.mark.parametrize(("percentile", "selected"), [(90.0, 5018), (95.0, 2509), (98.0, 1004), (99.0, 502)])
def test_so_many_pixels_of_224_by_224_are_chosen(percentile, selected):
    assert top(ranked((1, 1, 224, 224)), percentile).sum() == selected


def test_by_hand():
    maps = np.zeros((1, 1, 2, 5))
    maps[0, 0] = [[9, 8, 0.1, 0.2, 0.3], [7, 0.4, 0.5, 0.6, 0.7]]
    truth = np.zeros((1, 1, 2, 5), np.uint8)
    truth[0, 0] = [[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    # of ten pixels the 75th percentile is 2.275: three are chosen, two of them inside, and five are either
    assert iou.score(maps, truth, percentiles=(75.0,))["75"] == pytest.approx([2 / 5])
    assert fnr.score(maps, truth, percentiles=(75.0,))["75"] == pytest.approx([1 / 3])


def test_one_gives_the_other():
    """With precision P, k chosen and A annotated pixels, IoU = P k / (k + A - P k)."""
    maps, truth = ranked((5, 1, 30, 40)), (np.random.default_rng(1).uniform(size=(5, 1, 30, 40)) > 0.7).astype(np.uint8)
    for at, outside in fnr.score(maps, truth).items():
        k, annotated = top(maps, float(at)).sum((1, 2, 3)), truth.sum((1, 2, 3))
        inside = (1 - outside) * k
        np.testing.assert_allclose(iou.score(maps, truth)[at], inside / (k + annotated - inside))


def test_the_published_pair_fits_the_area_of_the_boxes():
    """X-rays, percentile 90, SyCE v2·k: FNR 0.457 and a mean box area of 0.1163 give IoU 0.335, as published."""
    inside = (1 - 0.457) * 0.1
    assert inside / (0.1 + 0.1163 - inside) == pytest.approx(0.335, abs=0.001)


def test_it_falls_as_the_percentile_rises_which_a_miss_rate_would_not():
    truth = np.zeros((1, 1, 40, 40), np.uint8)
    truth[0, 0, 10:20, 10:20] = 1
    rows, columns = np.mgrid[:40, :40]
    maps = np.exp(-((rows - 14.5) ** 2 + (columns - 14.5) ** 2) / 100)[None, None]
    found = [fnr.score(maps, truth)[at][0] for at in ("90", "95", "98")]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]


def test_perfect_maps_reach_what_their_area_allows():
    truth = np.zeros((1, 1, 40, 50), np.uint8)
    truth[0, 0, :10, :20] = 1  # a tenth of the image
    maps = ranked((1, 1, 40, 50)) + 1e4 * truth
    assert iou.score(maps, truth, percentiles=(90.0, 95.0)) == {"90": pytest.approx([1]), "95": pytest.approx([0.5])}
    assert fnr.score(maps, truth, percentiles=(90.0, 95.0)) == {"90": pytest.approx([0]), "95": pytest.approx([0])}


def test_a_map_that_is_mostly_zero_chooses_what_is_not():
    maps, truth = np.zeros((1, 1, 10, 20)), np.zeros((1, 1, 10, 20), np.uint8)
    maps[0, 0, 0, :4], truth[0, 0, 0, :8] = 1, 1
    assert top(maps, 90.0).sum() == 4
    assert iou.score(maps, truth)["90"] == pytest.approx([0.5])
    assert fnr.score(maps, truth)["90"] == pytest.approx([0])


def test_what_does_not_exist_is_nan():
    maps, truth = ranked((2, 1, 10, 20)), np.zeros((2, 1, 10, 20), np.uint8)
    truth[1, 0, 0, 0] = 1
    for metric in (iou, fnr):
        found = metric.score(maps, truth)["90"]
        assert np.isnan(found[0])
        assert np.isfinite(found[1])
    constant = np.ones((1, 1, 10, 20))
    assert np.isnan(fnr.score(constant, truth[1:])["90"]).all()
    assert iou.score(constant, truth[1:])["90"] == pytest.approx([0])


def test_volumes_and_signs_are_taken_as_they_come():
    maps, truth = (
        ranked((2, 1, 4, 10, 20)) - 400,
        (np.random.default_rng(2).uniform(size=(2, 1, 4, 10, 20)) > 0.5) * 1.0,
    )
    flat, mask = maps.reshape(2, -1), truth.reshape(2, -1) > 0
    for row in range(2):
        chosen = np.argsort(flat[row])[-80:]
        assert fnr.score(maps, truth)["90"][row] == pytest.approx(1 - mask[row][chosen].mean())


def test_iou_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    maps, truth = ranked((3, 1, 30, 40)), (np.random.default_rng(3).uniform(size=(3, 1, 30, 40)) > 0.8).astype(np.uint8)
    for at, found in iou.score(maps, truth).items():
        for row in range(3):
            chosen = maps[row].ravel() >= np.percentile(maps[row], float(at))
            assert found[row] == pytest.approx(metrics.jaccard_score(truth[row].ravel(), chosen))
            precision = metrics.precision_score(truth[row].ravel(), chosen)
            assert fnr.score(maps, truth)[at][row] == pytest.approx(1 - precision)
