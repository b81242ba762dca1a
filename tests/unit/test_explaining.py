"""Which of the explained images a method is asked for."""

import numpy as np

from evidence.explaining import fewer


def test_fewer_of_the_explained_are_some_of_more_and_in_order():
    everyone = np.arange(30, 80)
    some, more = fewer(everyone, 8), fewer(everyone, 20)
    assert len(some) == 8
    assert set(some) < set(more) < set(everyone)
    assert (np.diff(some) > 0).all()
    assert some.max() > 60, "not the first ones"
    for all_of_them in (0, 50, 99):
        np.testing.assert_array_equal(fewer(everyone, all_of_them), everyone)
