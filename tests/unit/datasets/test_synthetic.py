"""The synthetic dataset against every number that is known of the authors' (Baumgartner et al., 2018)."""

import numpy as np
import pytest

from evidence.datasets import synthetic
from evidence.errors import BadInput
from evidence.io import load_array

COUNT = 300  # a quarter A, a quarter B, half class 0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    (chunk,) = synthetic.simulate(tmp_path_factory.mktemp("raw"), count=COUNT).values()
    return chunk


@pytest.fixture(scope="module")
def part(files):
    return synthetic.prepare(files)


def extent(mask):
    """First and last row, first and last column that are not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], rows[-1], columns[0], columns[-1]


@pytest.fixture(scope="module")
def effects():
    """Effects of many images of either subtype."""
    return {subtype: np.stack([synthetic.draw(n, subtype, 112, 42)[1] for n in range(150)]) for subtype in "AB"}


# --- one image --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subtype", ["A", "B", ""])
def test_the_noise_has_exactly_its_deviation(subtype):
    image, effect = synthetic.draw(7, subtype, 112, 42)
    assert image.shape == effect.shape == (112, 112)
    assert (image - effect).std() == pytest.approx(50, rel=1e-12)


def test_the_noise_is_smooth_by_two_and_a_half_pixels():
    """A Gaussian filter of deviation s leaves white noise correlated by exp(-d² / 4 s²) over d pixels."""
    images = np.stack([synthetic.draw(n, "", 112, 42)[0] for n in range(60)])
    images -= images.mean((1, 2), keepdims=True)
    for lag in (1, 2, 4):
        for one, other in ((images[:, lag:], images[:, :-lag]), (images[:, :, lag:], images[:, :, :-lag])):
            # 60 images of about 112² / (4 pi 2.5²) = 160 independent patches: a standard error of at most 0.01
            assert (one * other).mean() / images.var() == pytest.approx(np.exp(-(lag**2) / 25), abs=0.04)


def test_the_effect_is_two_squares_of_a_hundred(effects):
    for found in effects.values():
        assert set(np.unique(found)) == {0, 100}
        np.testing.assert_array_equal((found > 0).sum((1, 2)), 800)
        assert (found[:, 46:66, 46:66] > 0).all()  # the one in the middle never moves


@pytest.mark.parametrize(("subtype", "nominal", "first", "last"), [("A", 78, 73, 101), ("B", 14, 9, 37)])
def test_the_second_square_jitters(effects, subtype, nominal, first, last):
    outer = effects[subtype] > 0
    outer[:, 46:66, 46:66] = False
    extents = np.array([extent(mask) for mask in outer])
    np.testing.assert_array_equal(extents[:, 1] - extents[:, 0], 19)
    np.testing.assert_array_equal(extents[:, 3] - extents[:, 2], 19)
    for corner in (extents[:, 0], extents[:, 2]):
        assert set(corner - nominal) == set(range(-5, 5))
    assert extent(outer.any(0)) == (first, last, first, last)
    assert (
        len(set(map(tuple, extents))) > 50
    )  # the axes move by themselves: 100 pairs, of which 150 draws meet about 78


@pytest.mark.parametrize(("subtype", "first"), [("A", 78), ("B", 14)])
def test_without_jitter_it_stays(subtype, first):
    expected = np.zeros((112, 112))
    expected[46:66, 46:66] = expected[first : first + 20, first : first + 20] = 100
    for number in range(5):
        np.testing.assert_array_equal(synthetic.draw(number, subtype, 112, 42, jitter=False)[1], expected)


def test_class_0_has_no_effect():
    assert not synthetic.draw(0, "", 112, 42)[1].any()


def test_an_image_is_a_function_of_seed_and_number():
    image, effect = synthetic.draw(3, "A", 112, 42)
    again, effect_again = synthetic.draw(3, "A", 112, 42)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(effect, effect_again)
    assert not np.array_equal(image, synthetic.draw(3, "A", 112, 43)[0])
    assert not np.array_equal(image, synthetic.draw(4, "A", 112, 42)[0])


@pytest.mark.parametrize("size", [16, 32, 48, 112, 224])
def test_other_sizes_scale_the_geometry(size):
    for subtype in "AB":
        for number in range(20):
            effect = synthetic.draw(number, subtype, size, 42)[1]
            assert (effect > 0).sum() == 2 * (2 * round(10 * size / 112)) ** 2  # inside the image, without overlap


# --- the dataset ------------------------------------------------------------------------------------------------------


def test_prepared(files, part):
    assert part.images.shape == part.truth.shape == (COUNT, 1, 112, 112)
    assert part.images.dtype == np.float32
    assert part.truth.dtype == np.uint8
    np.testing.assert_array_equal(part.images.min((1, 2, 3)), -1)
    np.testing.assert_array_equal(part.images.max((1, 2, 3)), 1)
    effects = load_array(next(file for file in files if file.name == "effects.npy"))
    np.testing.assert_array_equal(part.truth[:, 0], effects > 0)
    np.testing.assert_array_equal(part.truth.sum((1, 2, 3)), 800 * part.index["label"])


def test_the_order_is_a_b_class_0(part):
    assert list(part.index["subtype"]) == ["A"] * 75 + ["B"] * 75 + [""] * 150
    assert list(part.index["label"]) == [1] * 150 + [0] * 150
    assert part.index["subject"].is_unique
    second_a, second_b = part.truth[:75, 0, 66:, 66:].any((1, 2)), part.truth[75:150, 0, :46, :46].any((1, 2))
    assert second_a.all()
    assert second_b.all()


def test_scaling_changes_nothing_else(files, part):
    raw = np.asarray(load_array(next(file for file in files if file.name == "images.npy")), np.float64)
    for image, scaled in zip(raw[::50], part.images[::50, 0], strict=True):
        slope, offset = np.polyfit(image.ravel(), scaled.ravel(), 1)
        np.testing.assert_allclose(slope * image + offset, scaled, atol=1e-5)


def test_scaling_darkens_patients_outside_their_boxes_too():
    """A bright box stretches the range of its own image. The truth does not hold this, but a critic can see it."""
    same = [(synthetic.draw(n, "A", 112, 42), synthetic.draw(n, "", 112, 42)[0]) for n in range(60)]  # the same noise
    outside = []
    for (patient, effect), healthy in same:
        rest = effect == 0
        np.testing.assert_array_equal(patient[rest], healthy[rest])
        outside.append([2 * (x[rest] - x.min()).mean() / np.ptp(x) - 1 for x in (patient, healthy)])
    differences = np.diff(outside).ravel()
    assert differences.min() >= 0
    assert differences.mean() == pytest.approx(0.03, abs=0.01)


def test_many_images_go_in_chunks(tmp_path):
    units = synthetic.simulate(tmp_path, count=504, size=16)
    assert list(units) == ["chunk000", "chunk001"]
    parts = [synthetic.prepare(files) for files in units.values()]
    assert [len(part.images) for part in parts] == [500, 4]
    assert [s for part in parts for s in part.index["subtype"]] == ["A"] * 126 + ["B"] * 126 + [""] * 252
    assert [s for part in parts for s in part.index["subject"]] == [f"{n:05d}" for n in range(504)]


@pytest.mark.parametrize("wrong", [{"count": 10}, {"size": 100}])
def test_refusals(tmp_path, wrong):
    with pytest.raises(ValueError, match="multiple of 4"):
        synthetic.simulate(tmp_path, **wrong)
    with pytest.raises(BadInput, match="made, not fetched"):
        synthetic.fetch(tmp_path)


# --- its statistics ---------------------------------------------------------------------------------------------------
# The numbers were measured on 1,000 other images, taken to be 500 of each class. Each is a mean of one value an image.
# Two such means differ by a standard error of s √(1/n + 1/500), and two deviations by s √(1/2n + 1/1000), where s is
# the deviation over n images, mostly 150. Four of these are allowed, and half a unit of the last digit printed.


def per_image(part, files):
    images, truth = part.images[:, 0].astype(np.float64), part.truth[:, 0]
    raw = np.asarray(load_array(next(file for file in files if file.name == "images.npy")), np.float64)
    height = 200 / (raw.max((1, 2)) - raw.min((1, 2)))  # of a square after scaling
    ideal = images - height[:, None, None] * truth
    low, high = ideal.min((1, 2), keepdims=True), ideal.max((1, 2), keepdims=True)
    stretched = (ideal - low) / (high - low) * 2 - 1
    peak = images.reshape(len(images), -1).argmax(1)
    ones, zeros = slice(0, 150), slice(150, 300)
    return {
        "height": height[ones],
        "noise": ideal[ones].std((1, 2)),
        "mean of class 0": images[zeros].mean((1, 2)),
        "deviation of class 0": images[zeros].std((1, 2)),
        "mean of class 1": images[ones].mean((1, 2)),
        "deviation of class 1": images[ones].std((1, 2)),
        "peak in a square": truth.reshape(len(images), -1)[np.arange(len(images)), peak][ones].astype(float),
        "removal": np.abs(images - ideal)[ones].mean((1, 2)),
        "removal, stretched": np.abs(images - stretched)[ones].mean((1, 2)),
        "tanh": np.abs(np.tanh(images) - images).mean((1, 2)),
    }


@pytest.fixture(scope="module")
def values(part, files):
    return per_image(part, files)


@pytest.mark.parametrize(
    ("what", "mean", "digit"),
    [
        ("height", 0.408, 0.001),
        ("noise", 0.204, 0.001),
        ("mean of class 0", -0.004, 0.001),
        ("deviation of class 0", 0.208, 0.001),
        ("mean of class 1", 0.005, 0.001),
        ("deviation of class 1", 0.227, 0.001),
        ("peak in a square", 0.32, 0.01),
        ("removal", 0.0260, 0.0001),
        ("removal, stretched", 0.044, 0.001),
        ("tanh", 0.009, 0.001),
    ],
)
def test_means(values, what, mean, digit):
    found = values[what]
    assert found.mean() == pytest.approx(mean, abs=4 * found.std() * (1 / len(found) + 1 / 500) ** 0.5 + digit / 2)


@pytest.mark.parametrize(("what", "deviation"), [("height", 0.051), ("noise", 0.026)])
def test_deviations(values, what, deviation):
    found = values[what]
    tolerance = 4 * deviation * (1 / (2 * len(found)) + 1 / 1000) ** 0.5 + 0.0005
    assert found.std() == pytest.approx(deviation, abs=tolerance)


def test_heights_keep_within_four_deviations(values):
    assert values["height"].min() > 0.408 - 4 * 0.051  # 0.20, where 500 images had 0.23
    assert values["height"].max() < 0.408 + 4 * 0.051  # 0.61, where 500 images had 0.56
