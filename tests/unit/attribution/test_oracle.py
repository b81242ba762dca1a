"""The ceiling: no map finds more of the truth at any percentile."""

import numpy as np
import pytest
import torch

from evidence.attribution.oracle import attribute
from evidence.metrics import fnr, iou


@pytest.mark.parametrize("space", [(40, 50), (10, 20, 25)])
def test_it_is_as_good_as_the_area_of_the_truth_allows(space):
    truth = np.zeros((3, 1, *space), np.uint8)
    truth[0].reshape(-1)[: truth[0].size // 10] = 1  # a tenth
    truth[1][(0, *(slice(2, 5),) * len(space))] = 1
    maps = attribute(torch.zeros(3, 1, *space), torch.from_numpy(truth)).numpy()
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps > 0, truth > 0)
    assert not maps[2].any()
    shares = truth[:2].reshape(2, -1).mean(1)
    for at in (90, 95, 98):
        asked = 1 - at / 100
        expected = np.where(shares > asked, asked / shares, 1)  # all that is asked for, or all that there is
        np.testing.assert_allclose(iou.score(maps, truth)[f"{at}"][:2], expected, rtol=0.02)
        np.testing.assert_allclose(fnr.score(maps, truth)[f"{at}"][:2], 0)
