"""Slides of one size beside each other, each with its frames and their probabilities."""

import numpy as np
import pandas as pd
import pytest

from evidence import style
from evidence.errors import BadInput
from evidence.figures.slides import draw

AT = ("p00", "p05", "p10")


@pytest.fixture(autouse=True)
def closed():
    yield
    style.plt.close("all")


@pytest.fixture(params=[(7, 8), (7, 8, 9)], ids=["slice", "volume"])
def made(request):
    """Six images, and three frames of the four explained ones."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (6, 1, *request.param)).astype(np.float32)
    return images, {name: random.uniform(-1, 1, (4, 1, *request.param)).astype(np.float32) for name in ("0", "½", "1")}


def table(missing=()):
    """Of the explained sample 11 in the frames 0.11, 0.61 and 0.91, and so on."""
    rows = [
        (sample, setting, np.nan if sample in missing else start + sample / 100)
        for setting, start in zip(AT[::-1], (0.8, 0.5, 0.0), strict=True)
        for sample in (11, 12, 13, 15)
    ]
    return pd.DataFrame(rows, columns=["sample", "at", "value"]).astype({"sample": "Int64"})


def shown(axis):
    (image,) = axis.get_images()
    return np.asarray(image.get_array())


def test_each_slide_has_the_images_above_its_frames_and_their_probabilities(made, index):
    images, frames = made
    figure = draw(images, index, frames, {"way": [table()]}, at=AT, count=2)
    assert [slide.get_suptitle() for slide in figure.subfigs] == ["0", "½", "1"]
    for slide, frame, start in zip(figure.subfigs, frames.values(), (0.0, 0.5, 0.8), strict=True):
        above, below = slide.axes[:2], slide.axes[2:]
        assert [axis.get_title() for axis in above] == ["A", "B"]
        for axis, under, (place, row) in zip(above, below, [(1, 0), (3, 2)], strict=True):
            np.testing.assert_array_equal(shown(axis), style.middle(images[place])[0])
            np.testing.assert_array_equal(shown(under), style.middle(frame[row])[0])
            assert under.get_images()[0].get_clim() == axis.get_images()[0].get_clim() == (-1, 1)
            assert under.get_xlabel() == f"{start + 0.1 + place / 100:.2f}"


def test_slides_are_of_one_size_to_the_pixel(made, index, tmp_path):
    images, frames = made
    figure = draw(images, index, frames, {}, count=3)
    figure.savefig(tmp_path / "slides.png")
    _, width = style.plt.imread(tmp_path / "slides.png").shape[:2]
    assert width % 3 == 0
    for number, slide in enumerate(figure.subfigs):
        box = slide.bbox
        assert (box.width * 3, box.x0) == pytest.approx((figure.bbox.width, number * figure.bbox.width / 3))
    places = [[axis.get_position().x0 * width / 3 for axis in slide.axes] for slide in figure.subfigs]
    np.testing.assert_allclose(places, places[:1] * 3, atol=0.5, err_msg="nothing jumps from one slide to the next")


def test_images_without_probabilities_are_left_out(made, index):
    images, frames = made
    figure = draw(images, index, frames, {"way": [table(missing=(11, 12, 15))]}, at=AT)
    assert [len(slide.axes) for slide in figure.subfigs] == [2, 2, 2]
    nothing = draw(images, index, frames, {"way": [table(missing=(11, 12, 13, 15))]}, at=AT)
    assert not nothing.subfigs
    assert "none has a probability" in nothing.texts[0].get_text()


def test_one_frame_is_no_way(made, index):
    images, frames = made
    with pytest.raises(BadInput, match="a way has two frames or more, and there is: 0"):
        draw(images, index, {"0": frames["0"]}, {})
