"""Figures on tiny data: the right panels, the right images in them, and words where something is missing."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from evidence import style
from evidence.errors import BadInput
from evidence.figures import curves, examples, gallery

SUBTYPES = ["", "A", "A", "B", "", "B", "A"]
SPACES = {"slice": (7, 8), "volume": (7, 8, 9)}


@pytest.fixture(autouse=True)
def closed():
    yield
    style.plt.close("all")


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def shown(axis):
    """The array in a panel."""
    (image,) = axis.get_images()
    return np.asarray(image.get_array())


def visible(figure):
    return [axis for axis in figure.axes if axis.get_visible()]


def images_of(space, channels=1, count=7):
    return np.random.default_rng(0).uniform(-1, 1, (count, channels, *space)).astype(np.float32)


def middle(image):
    """What is shown of (1, *space)."""
    return image[0] if image.ndim == 3 else image[0][..., image.shape[-1] // 2]


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_is_grey_or_colour_or_the_middle_of_a_volume():
    _, axes = style.grid(1, 4)
    grey, colour, volume = images_of((7, 8))[0], images_of((7, 8), 3)[0], images_of((7, 8, 9))[0]
    for axis, image in zip(axes[0], (grey, grey[0], colour, volume), strict=True):
        style.picture(axis, image, vmin=-1, vmax=1)
        assert len(axis.get_xticks()) == len(axis.get_yticks()) == 0
    np.testing.assert_array_equal(shown(axes[0, 0]), grey[0])
    np.testing.assert_array_equal(shown(axes[0, 1]), grey[0])
    np.testing.assert_allclose(shown(axes[0, 2]), (np.moveaxis(colour, 0, -1) + 1) / 2)
    np.testing.assert_array_equal(shown(axes[0, 3]), volume[0, :, :, 4])


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (3, 1), (2, 3)])
def test_a_grid_always_has_two_axes(rows, columns):
    figure, axes = style.grid(rows, columns)
    assert isinstance(figure, Figure)
    assert axes.shape == (rows, columns)


# --- examples ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def index():
    explain = np.array(SUBTYPES) != ""
    return pd.DataFrame({"sample": range(7), "subject": range(7), "subtype": SUBTYPES, "explain": explain})


def test_examples_are_the_first_of_each_group_under_their_truth(space, index):
    images, truth = images_of(space), (images_of(space) > 0.5).astype(np.uint8)
    figure = examples.draw(images, truth, index, groups=("", "A", "B"), headings=("none", "lower right", "upper left"))
    assert len(figure.axes) == 6
    top, bottom = figure.axes[:3], figure.axes[3:]
    assert [axis.get_title() for axis in top] == ["none", "lower right", "upper left"]
    for upper, lower, member in zip(top, bottom, (0, 1, 3), strict=True):
        np.testing.assert_array_equal(shown(upper), middle(truth[member]))
        np.testing.assert_array_equal(shown(lower), middle(images[member]))
        assert lower.get_images()[0].get_clim() == (-1, 1)


def test_without_truth_there_are_the_images_alone_and_without_groups_all(index):
    figure = examples.draw(images_of((7, 8)), None, index)
    assert [axis.get_title() for axis in figure.axes] == ["", "A", "B"]


def test_a_group_without_sample_is_refused(index):
    with pytest.raises(BadInput, match=r"no sample has subtype = 'C'; there is \['', 'A', 'B'\]"):
        examples.draw(images_of((7, 8)), None, index, groups=("A", "C"))


def test_a_column_that_is_not_there_is_refused_with_the_near_miss(index):
    with pytest.raises(BadInput, match="no column 'subtypes'; did you mean 'subtype'"):
        examples.draw(images_of((7, 8)), None, index, by="subtypes")
    with pytest.raises(BadInput, match="no column 'subtypes'; did you mean 'subtype'"):
        gallery.draw(images_of((7, 8)), index, {}, by="subtypes", groups=("A",))


def test_headings_have_to_fit_the_groups(index):
    with pytest.raises(BadInput, match="1 do not fit 2 groups, 'A', 'B'"):
        examples.draw(images_of((7, 8)), None, index, groups=("A", "B"), headings=("one",))


# --- the gallery ------------------------------------------------------------------------------------------------------


@pytest.fixture
def maps(space):
    """Of the five explained images: one method never negative, one signed."""
    signed = images_of(space, count=5)
    return {"CAM": np.abs(signed), "VA-GAN": signed / 2}


def test_a_gallery_shows_the_next_image_of_each_wanted_group(space, index, maps):
    """Explained are samples 1, 2, 3, 5, 6 of the groups A, A, B, B, A."""
    images = images_of(space)
    figure = gallery.draw(images, index, maps, groups=("A", "B", "B"))
    assert len(figure.axes) == 9
    assert [axis.get_title() for axis in figure.axes[:3]] == ["Observed", "CAM", "VA-GAN"]
    for line, (sample, row) in enumerate([(1, 0), (3, 2), (5, 3)]):
        observed, cam, vagan = figure.axes[3 * line : 3 * line + 3]
        np.testing.assert_array_equal(shown(observed), middle(images[sample]))
        np.testing.assert_array_equal(shown(cam), middle(maps["CAM"][row]))
        np.testing.assert_array_equal(shown(vagan), middle(maps["VA-GAN"][row]))
        assert {axis.get_images()[0].get_cmap().name for axis in (cam, vagan)} == {"viridis"}


def test_without_groups_it_shows_some_of_all_in_turn_and_signed_maps_around_grey(space, index, maps):
    images = images_of(space)
    figure = gallery.draw(images, index, maps, count=3, healed="VA-GAN")
    assert len(figure.axes) == 12
    for line, (sample, row) in enumerate([(1, 0), (3, 2), (2, 1)]):  # A, B, A
        observed, cam, vagan, healed = figure.axes[4 * line : 4 * line + 4]
        np.testing.assert_array_equal(shown(observed), middle(images[sample]))
        np.testing.assert_allclose(shown(healed), middle(images[sample] - maps["VA-GAN"][row]))
        assert observed.get_ylabel() == SUBTYPES[sample]
        assert cam.get_images()[0].get_cmap().name == "viridis"
        low, high = vagan.get_images()[0].get_clim()
        assert low == -high < 0
    assert figure.axes[3].get_title() == "Healed"


def test_a_gallery_in_colour_shows_no_healed_image_that_one_map_cannot_tell(index):
    images, maps = images_of((7, 8), 3), images_of((7, 8), count=5) / 2
    figure = gallery.draw(images, index, {"VA-GAN": maps}, count=1, healed="VA-GAN")
    assert [axis.get_title() for axis in figure.axes] == ["Observed", "VA-GAN"]


def test_without_the_column_a_gallery_shows_the_first(index):
    figure = gallery.draw(images_of((7, 8)), index.drop(columns="subtype"), {}, count=2)
    assert len(figure.axes) == 2
    assert not figure.axes[0].get_ylabel()


def test_a_map_to_heal_with_has_to_be_there(index):
    with pytest.raises(BadInput, match="there is no map 'VAGAN'; did you mean 'VA-GAN'"):
        gallery.draw(images_of((7, 8)), index, {"VA-GAN": images_of((7, 8), count=5)}, healed="VAGAN")


def test_pictures_are_grey_as_the_image_is_and_maps_beside_them_are_not(space, index, maps):
    images = (images_of(space) + 1) / 2
    figure = gallery.draw(images, index, {"Negative": maps["VA-GAN"], **maps}, pictures=("Negative",), count=2)
    for line in (figure.axes[:4], figure.axes[4:]):
        observed, negative, cam, vagan = (axis.get_images()[0] for axis in line)
        assert observed.get_cmap().name == negative.get_cmap().name == "gray"
        assert observed.get_clim() == negative.get_clim() == (0, 1)
        assert (cam.get_cmap().name, vagan.get_cmap().name) == ("viridis", "RdBu_r")
    np.testing.assert_array_equal(shown(figure.axes[1]), middle(maps["VA-GAN"][0]))
    assert gallery.draw(images * 2 - 1, index, maps, pictures=("CAM",)).axes[1].get_images()[0].get_clim() == (-1, 1)


def grey(image):
    """Luma of colour, pixel by pixel."""
    return image[0] if len(image) == 1 else 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_worst_pictures_are_shown_with_their_error_the_farthest_first(space, index, channels):
    images = images_of(space, channels)
    pictures = np.array([grey(images[sample])[None] for sample in (1, 2, 3, 5, 6)])
    off = [0.1, 0.3, 0.0, 0.2, 0.26]
    pictures += np.array(off, np.float32).reshape(5, *[1] * (pictures.ndim - 1))
    maps = {"CAM": np.abs(pictures), "Reconstruction": pictures}
    figure = gallery.draw(images, index, maps, pictures=("Reconstruction",), worst="Reconstruction", count=3)
    for line, (sample, row) in enumerate([(2, 1), (6, 4), (5, 3)]):
        observed, _, found = figure.axes[3 * line : 3 * line + 3]
        np.testing.assert_array_equal(shown(found), middle(pictures[row]))
        assert observed.get_ylabel() == f"{SUBTYPES[sample]}\nMSE {off[row] ** 2:.3f}"
    alone = gallery.draw(images, index, maps, by="", pictures=("Reconstruction",), worst="Reconstruction", count=1)
    assert alone.axes[0].get_ylabel() == "MSE 0.090"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pictures": ("CAN",)}, "pictures: there is no map 'CAN'; did you mean 'CAM'"),
        ({"worst": "CAM"}, "worst: there is no picture 'CAM' to compare with the images; there is: nothing"),
        ({"worst": "CAM", "pictures": ("CAM",), "groups": ("A",)}, "worst and groups both choose the rows"),
    ],
)
def test_pictures_and_worst_have_to_fit(index, settings, words):
    with pytest.raises(BadInput, match=words):
        gallery.draw(images_of((7, 8)), index, {"CAM": images_of((7, 8), count=5)}, **settings)


@pytest.mark.parametrize(
    ("wanted", "count", "rows"),
    [
        (("A", "B", "B"), 3, [0, 2, 3]),
        (("B", "A", "A", "A"), 3, [2, 0, 1, 4]),
        ((), 3, [0, 2, 1]),
        ((), 1, [0]),
        ((), 99, [0, 2, 1, 3, 4]),
    ],
)
def test_which_rows_are_chosen(wanted, count, rows):
    assert gallery.chosen(np.array(list("AABBA")), np.arange(5), wanted, count) == rows


def test_rows_are_the_first_where_no_groups_are_known():
    assert gallery.chosen(None, np.arange(5), (), 3) == [0, 1, 2]
    assert gallery.chosen(None, np.arange(5), (), 9) == [0, 1, 2, 3, 4]


def test_rows_are_of_as_many_subjects_as_there_are_the_middle_of_a_stack_first():
    subjects = np.array(["x", "x", "x", "y", "y", "z"])
    assert gallery.chosen(None, subjects, (), 9) == [1, 3, 5, 0, 4, 2]
    assert gallery.chosen(np.array(list("BAABAA")), subjects, ("A", "A", "A", "A"), 4) == [1, 4, 5, 2]


@pytest.mark.parametrize(
    ("wanted", "asked"), [(("B", "B", "B"), "3 explained images of 'B'"), (("C",), "1 explained images of 'C'")]
)
def test_a_group_with_too_few_explained_images_is_refused_with_what_there_is(wanted, asked):
    with pytest.raises(BadInput) as refusal:
        gallery.chosen(np.array(list("AABBA")), np.arange(5), wanted, 3)
    assert str(refusal.value) == f"groups: {asked} are asked for; there is: 3 of 'A', 2 of 'B'"


def test_colours_of_maps():
    positive, signed, nothing = np.array([0.0, 2.0]), np.array([-3.0, 1.0]), np.zeros(2)
    assert gallery.colours(positive, signed=True) == gallery.colours(nothing, signed=True) == {"cmap": "viridis"}
    assert gallery.colours(signed, signed=False) == {"cmap": "viridis"}
    found = gallery.colours(signed, signed=True)
    assert (found["cmap"], found["vmin"], found["vmax"]) == (
        "RdBu_r",
        pytest.approx(-3, abs=0.01),
        pytest.approx(3, abs=0.01),
    )


# --- curves -----------------------------------------------------------------------------------------------------------


def history(names, steps=5, offset=0.0):
    rows = [(step, name, step + offset) for step in range(steps) for name in names]
    return pd.DataFrame(rows, columns=["step", "name", "value"])


def test_a_panel_a_quantity_a_line_a_seed_a_colour_a_model():
    histories = {"one": [history(["l1", "loss"]), history(["l1"], offset=1)], "two": [history(["loss"], offset=2)]}
    figure = curves.draw(histories)
    l1, loss = visible(figure)
    assert [axis.get_title() for axis in (l1, loss)] == ["l1", "loss"]
    assert [list(line.get_ydata()) for line in l1.get_lines()] == [[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]
    assert [list(line.get_xdata()) for line in l1.get_lines()] == [[0, 1, 2, 3, 4]] * 2
    assert l1.get_lines()[0].get_color() == l1.get_lines()[1].get_color() == loss.get_lines()[0].get_color()
    assert loss.get_lines()[1].get_color() != loss.get_lines()[0].get_color()
    assert [text.get_text() for text in l1.get_legend().get_texts()] == ["one"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["one", "two"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_there_are_as_many_panels_as_quantities(count):
    names = [f"quantity_{n}" for n in range(count)]
    figure = curves.draw({"model": [history(names)]})
    assert [axis.get_title() for axis in visible(figure)] == [name.replace("_", " ") for name in names]


def test_quantities_are_in_the_order_asked_for_and_those_that_nobody_measured_left_out():
    figure = curves.draw({"model": [history(["a", "b", "c"])]}, names=("c", "x", "a"))
    assert [axis.get_title() for axis in visible(figure)] == ["c", "a"]


def test_more_models_than_colours_are_all_drawn():
    count = 4 * len(style.COLOURS)
    figure = curves.draw({f"model {n}": [history(["a"], offset=n)] for n in range(count)})
    assert len(visible(figure)[0].get_lines()) == count


@pytest.mark.parametrize("histories", [{}, {"model": []}, {"model": [history([])]}])
def test_without_a_curve_there_is_no_figure(histories):
    with pytest.raises(BadInput, match="there is no curve to draw"):
        curves.draw(histories)


@pytest.mark.parametrize("count", [1, 2, 199, 200])
def test_a_short_curve_is_drawn_as_it_is(count):
    values = np.random.default_rng(0).normal(size=count)
    steps, found = curves.thinned(np.arange(count) * 3, values)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(steps, np.arange(count) * 3)


@pytest.mark.parametrize("count", [201, 400, 12_345])
def test_a_long_curve_is_drawn_as_means_of_neighbours(count):
    steps = np.arange(count)
    found_steps, found = curves.thinned(steps, 2.0 * steps + 1)
    assert 100 <= len(found) <= 200
    np.testing.assert_allclose(found, 2 * found_steps + 1, err_msg="a line stays a line")
    size = -(-count // 200)
    assert found_steps[0] == steps[:size].mean()
    assert found_steps[-1] == steps[(len(found) - 1) * size :].mean()
