"""Frames in their order with their own probabilities, and what changes between them."""

import numpy as np
import pandas as pd
import pytest

from evidence import style
from evidence.errors import BadInput
from evidence.figures.traversal import draw

SPACES = {"slice": (7, 8), "volume": (7, 8, 9)}
AT = ("p00", "p05", "p10")


@pytest.fixture(autouse=True)
def closed():
    yield
    style.plt.close("all")


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def made(space, channels=1):
    """Six images, and three frames of the four explained ones."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (6, channels, *space)).astype(np.float32)
    frames = {name: random.uniform(-1, 1, (4, 1, *space)).astype(np.float32) for name in ("0", "0.5", "1")}
    return images, frames


def table(offset=0.0, missing=()):
    """Of the explained sample 11 in the frames 0.11, 0.61 and 0.91, and so on; with a setting that is none of them."""
    rows = [
        (sample, setting, np.nan if sample in missing else start + sample / 100 + offset)
        for setting, start in (("rise", 0.3), *zip(AT[::-1], (0.8, 0.5, 0.0), strict=True))
        for sample in (11, 12, 13, 15)
    ]
    return pd.DataFrame(rows, columns=["sample", "at", "value"]).astype({"sample": "Int64"})


def lines_of(figure, columns):
    return [figure.axes[start : start + columns] for start in range(0, len(figure.axes), columns)]


def shown(axis):
    (image,) = axis.get_images()
    return np.asarray(image.get_array())


def middle(image):
    return image[0] if image.ndim == 3 else image[0][..., image.shape[-1] // 2]


def test_frames_stand_in_their_order_above_their_probabilities(space, index):
    images, frames = made(space)
    figure = draw(images, index, frames, {"way": [table(), table(0.001)]}, at=AT, count=3)
    lines = lines_of(figure, 5)
    assert [axis.get_title() for axis in lines[0]] == ["Observed", "0", "0.5", "1", "Change"]
    assert len(lines) == 3
    for line, (sample, row) in zip(lines, [(1, 0), (3, 2), (2, 1)], strict=True):  # A, B, A
        np.testing.assert_array_equal(shown(line[0]), middle(images[sample]))
        for axis, frame in zip(line[1:4], frames.values(), strict=True):
            np.testing.assert_array_equal(shown(axis), middle(frame[row]))
            assert axis.get_images()[0].get_cmap().name == "gray"
            assert axis.get_images()[0].get_clim() == (-1, 1)
        moved = [middle(frame[row]) - middle(frames["0"][row]) for frame in frames.values()]
        np.testing.assert_allclose(shown(line[4]), np.abs(moved[1]) + np.abs(moved[2]), atol=1e-6)
        assert line[4].get_images()[0].get_cmap().name == "viridis"
        words = [f"{start + (10 + sample) / 100:.2f}" for start in (0.0, 0.5, 0.8)]
        assert [axis.get_xlabel() for axis in line] == ["", *words, ""]
        assert line[0].get_ylabel() == index["subtype"][sample]


def test_images_without_a_probability_are_not_shown(index):
    images, frames = made((7, 8))
    figure = draw(images, index, frames, {"way": [table(missing=(11, 13))]}, at=AT, count=9)
    observed = [shown(line[0]) for line in lines_of(figure, 5)]
    np.testing.assert_array_equal(observed, [images[2][0], images[5][0]])
    figure = draw(images, index, frames, {"way": [table(missing=(11, 12, 13, 15))]}, at=AT)
    assert [text.get_text() for text in figure.texts] == ["No image is shown: none has a probability for each frame."]


def test_groups_are_a_row_each(index):
    images, frames = made((7, 8))
    lines = lines_of(draw(images, index, frames, {"way": [table()]}, at=AT, groups=("B", "A")), 5)
    np.testing.assert_array_equal([shown(line[0]) for line in lines], [images[3][0], images[1][0]])
    with pytest.raises(BadInput, match="2 explained images of 'B' are asked for"):
        draw(images, index, frames, {"way": [table()]}, at=AT, groups=("B", "B"))


def test_without_an_image_or_scores_frames_stand_alone(index):
    images, frames = made((7, 8), channels=3)
    lines = lines_of(draw(images, index, frames, {}, observed="", change="Where", count=2), 4)
    assert [axis.get_title() for axis in lines[0]] == ["0", "0.5", "1", "Where"]
    assert len(lines) == 2
    np.testing.assert_array_equal(shown(lines[1][1]), frames["0.5"][2, 0])
    assert not any(axis.get_xlabel() for line in lines for axis in line)


def test_many_frames_fit_two_columns_of_print(index):
    images, frames = made((7, 8))
    many = {str(number): frames["0"] for number in range(11)}
    assert draw(images, index, many, {}).get_figwidth() <= 7.2 + 1e-9
    assert draw(images, index, frames, {}).get_figwidth() == pytest.approx(5 * 1.1)


@pytest.mark.parametrize(
    ("scores", "settings", "words"),
    [
        ({"way": [table()]}, {}, "at: name one setting for each of the frames 0, 0.5, 1, not p00, p01"),
        ({"way": [table()]}, {"at": ("p00", "p5", "p10")}, "no setting 'p5'; did you mean 'p05'"),
        ({"way": [table()], "other": [table()]}, {"at": AT}, "one method's scores, and these are of way, other"),
        ({}, {"by": "subtypes", "groups": ("A",)}, "no column 'subtypes'; did you mean 'subtype'"),
    ],
)
def test_what_does_not_fit_is_refused(index, scores, settings, words):
    images, frames = made((7, 8))
    with pytest.raises(BadInput, match=words):
        draw(images, index, frames, scores, **settings)


def test_one_frame_is_no_way(index):
    images, frames = made((7, 8))
    with pytest.raises(BadInput, match="two frames or more, and there is: 0"):
        draw(images, index, {"0": frames["0"]}, {})
