"""Perturbation curves: differences image by image, panels by headings."""

import numpy as np
import pandas as pd
import pytest

from evidence.errors import BadInput
from evidence.figures.perturbation import by_image, draw


def table(values):
    """Scores of two images at 4, 12 and 8 regions, in no order."""
    rows = [(sample, at, values[sample][place]) for place, at in enumerate(("4", "12", "8")) for sample in (0, 1)]
    return pd.DataFrame(rows, columns=["sample", "at", "value"])


ZERO = table([[0.0, 0.1, 0.2], [0.1, 0.1, 0.1]])
LINE = table([[0.1, 0.4, 0.3], [0.3, 0.5, 0.1]])


def lines_of(axis):
    return {line.get_label(): line.get_xydata() for line in axis.get_lines() if not line.get_label().startswith("_")}


def test_a_line_is_the_mean_difference_in_the_order_of_the_settings():
    figure = draw({"Random": [ZERO], "SyCE: E": [LINE], "SyCE: v1": [ZERO], "CyCE: E": [LINE]})
    assert [axis.get_title() for axis in figure.axes] == ["SyCE", "CyCE"]
    found = lines_of(figure.axes[0])
    assert list(found) == ["E", "v1"]
    np.testing.assert_allclose(found["E"], [[4, 0.15], [8, 0.05], [12, 0.35]])
    np.testing.assert_allclose(found["v1"][:, 1], 0)


def test_seeds_are_averaged_and_what_has_no_score_is_left_out():
    other = LINE.assign(value=LINE["value"] + 0.2)
    np.testing.assert_allclose(by_image([LINE, other]), by_image([LINE]) + 0.1)
    gap = LINE.copy()
    gap.loc[gap["sample"] == 1, "value"] = np.nan
    assert by_image([gap]).index.tolist() == [0]


def test_without_the_reference_or_a_line_nothing_is_drawn():
    with pytest.raises(BadInput, match="no scores of 'Random'; there is: SyCE: E"):
        draw({"SyCE: E": [LINE]})
    with pytest.raises(BadInput, match="no line to draw"):
        draw({"Random": [ZERO]})
