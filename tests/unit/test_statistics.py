"""Normalised cross-correlation: its closed forms, and what score means what on the synthetic data."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from evidence.datasets import synthetic
from evidence.statistics import correlation

SPACES = [(7, 8), (7, 8, 9)]
COUNT = 200  # images, half A, half B
SIZE = 112


@pytest.fixture(params=SPACES)
def maps(request):
    return np.random.default_rng(0).normal(size=(4, 1, *request.param))


# --- closed forms -----------------------------------------------------------------------------------------------------


def test_a_map_agrees_with_itself_and_disagrees_with_its_negative(maps):
    np.testing.assert_allclose(correlation(maps, maps), 1)
    np.testing.assert_allclose(correlation(-maps, maps), -1)


def test_scale_and_offset_do_not_count(maps):
    truth = np.random.default_rng(1).normal(size=maps.shape) + maps
    expected = correlation(maps, truth)
    np.testing.assert_allclose(correlation(1e-6 * maps + 3, truth), expected, rtol=1e-8)
    np.testing.assert_allclose(correlation(1e6 * maps - 1e7, truth), expected)
    np.testing.assert_allclose(correlation(maps, 5 - 2 * truth), -expected)
    assert (np.abs(expected) < 0.95).all()


def test_it_is_the_r_of_pearson_image_by_image(maps):
    truth = np.random.default_rng(1).normal(size=maps.shape) + maps
    expected = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, truth, strict=True)]
    np.testing.assert_allclose(correlation(maps, truth), expected)
    np.testing.assert_allclose(correlation(truth, maps), expected)


def test_the_mean_of_the_product_of_standardised_maps_is_its_definition(maps):
    """Each map less its mean, divided by its own population deviation."""
    truth = maps > 0.5
    found = []
    for a, b in zip(maps, truth.astype(float), strict=True):
        found.append(np.mean((a - a.mean()) / a.std() * (b - b.mean()) / b.std()))
    np.testing.assert_allclose(correlation(maps, truth.astype(np.uint8)), found)


@pytest.mark.parametrize("value", [0, 0.1, -1e30])
def test_what_is_constant_has_no_correlation_and_spoils_no_other(maps, value):
    truth = maps.copy()
    maps[1] = value
    truth[2] = value
    found = correlation(maps.astype(np.float32), truth)
    assert np.isnan(found[[1, 2]]).all()
    np.testing.assert_allclose(found[[0, 3]], 1)


def test_faint_maps_in_float32_keep_their_correlation(maps):
    """Saturated classifiers give maps near the end of float32."""
    faint = (maps * 1e-30).astype(np.float32)
    np.testing.assert_allclose(correlation(faint, maps), 1, rtol=1e-5)


def test_a_map_with_nan_has_no_correlation(maps):
    broken = maps.copy()
    broken[0, 0, 0] = np.nan
    assert np.isnan(correlation(broken, maps)).tolist() == [True, False, False, False]


# --- the calibration table --------------------------------------------------------------------------------------------
# The mean was measured on 1,000 other images and is printed with so many digits. Two such means differ by a standard
# error of s √(1/n + 1/1000), with s the deviation over our n images; four of these are allowed, and half a digit.


@pytest.fixture(scope="module")
def data():
    """Images in [-1, 1], the same with the squares taken out at the same scale, and the truth."""
    drawn = [synthetic.draw(n, "AB"[n % 2], SIZE, 7) for n in range(COUNT)]
    raw, effects = (np.stack(arrays)[:, None] for arrays in zip(*drawn, strict=True))
    low, high = raw.min((1, 2, 3), keepdims=True), raw.max((1, 2, 3), keepdims=True)
    images, truth = (raw - low) / (high - low) * 2 - 1, (effects > 0).astype(np.uint8)
    height = 2 * synthetic.EFFECT / (high - low)
    return {"x": images, "ideal": images - height * truth, "truth": truth}


def stretched(images):
    low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
    return (images - low) / (high - low) * 2 - 1


def before_tanh(x, ideal, clip):
    """-M of a perfect generator whose healed image is clipped so that it has an inverse hyperbolic tangent."""
    return x - np.arctanh(np.clip(ideal, -clip, clip))


def centre_of(truth):
    middle = np.zeros_like(truth)
    middle[..., 46:66, 46:66] = 1
    return middle


def outline(masks):
    inner = np.stack([binary_erosion(mask[0])[None] for mask in masks])
    return masks.astype(bool) & ~inner


def blurred(masks, sigma):
    return gaussian_filter(masks.astype(float), (0, 0, sigma, sigma))


def noise():
    return np.random.default_rng(3).normal(size=(COUNT, 1, SIZE, SIZE))


def residual(percent):
    return lambda d: d["truth"] + percent / 100 * noise()


CALIBRATION = {
    "exact removal": (1.000, 0.001, lambda d: d["x"] - d["ideal"]),
    "removal, stretched again": (0.995, 0.001, lambda d: d["x"] - stretched(d["ideal"])),
    "a constant height through tanh": (0.988, 0.001, lambda d: d["x"] - np.tanh(d["x"] - 0.408 * d["truth"])),
    "raw, clipped at 0.90": (0.963, 0.001, lambda d: before_tanh(d["x"], d["ideal"], 0.90)),
    "raw, clipped at 0.97": (0.947, 0.001, lambda d: before_tanh(d["x"], d["ideal"], 0.97)),
    "raw, clipped at 0.99": (0.934, 0.001, lambda d: before_tanh(d["x"], d["ideal"], 0.99)),
    "raw, clipped at 0.995": (0.925, 0.001, lambda d: before_tanh(d["x"], d["ideal"], 0.995)),
    "residual of 5 %": (0.98, 0.01, residual(5)),
    "residual of 10 %": (0.926, 0.001, residual(10)),
    "residual of 20 %": (0.774, 0.001, residual(20)),
    "residual of 30 %": (0.632, 0.001, residual(30)),
    "residual of 50 %": (0.439, 0.001, residual(50)),
    "truth blurred by 6": (0.867, 0.001, lambda d: blurred(d["truth"], 6)),
    "truth blurred by 10": (0.749, 0.001, lambda d: blurred(d["truth"], 10)),
    "centre square": (0.695, 0.001, lambda d: centre_of(d["truth"])),
    "outlines": (0.424, 0.001, lambda d: outline(d["truth"])),
    "outline of the centre square": (0.299, 0.001, lambda d: outline(centre_of(d["truth"]))),
    "the image itself": (0.438, 0.001, lambda d: d["x"]),
    "its positive part": (0.527, 0.001, lambda d: np.maximum(d["x"], 0)),
    "no map, through tanh": (0.425, 0.001, lambda d: d["x"] - np.tanh(d["x"])),
    "white noise": (0.000, 0.001, lambda d: np.abs(noise())),
}
SPREADS = {
    "removal, stretched again": 0.014,
    "a constant height through tanh": 0.007,
    "the image itself": 0.044,
    "its positive part": 0.084,
    "no map, through tanh": 0.130,
    "white noise": 0.009,
}


@pytest.fixture(scope="module")
def scores(data):
    return {name: correlation(make(data).astype(float), data["truth"]) for name, (*_, make) in CALIBRATION.items()}


@pytest.mark.parametrize("what", CALIBRATION)
def test_calibration(scores, what):
    mean, digit, _ = CALIBRATION[what]
    found = scores[what]
    assert found.mean() == pytest.approx(mean, abs=4 * found.std() * (1 / COUNT + 1 / 1000) ** 0.5 + digit / 2)


@pytest.mark.parametrize("what", SPREADS)
def test_spread_of_the_calibration(scores, what):
    """The standard error of a deviation is bootstrapped: s √(1/2n) is that of normal scores, and these are skewed."""
    random, found = np.random.default_rng(0), scores[what]
    error = np.std([random.choice(found, COUNT).std() for _ in range(200)]) * (1 + COUNT / 1000) ** 0.5
    assert found.std() == pytest.approx(SPREADS[what], abs=4 * error + 0.0005)


@pytest.mark.parametrize("percent", [5, 10, 20, 30, 50])
def test_a_white_residual_has_a_closed_form(scores, percent):
    """A mask over a share p of the image has the variance p (1 - p), the residual s²."""
    p = 800 / SIZE**2
    expected = (1 + (percent / 100) ** 2 / (p * (1 - p))) ** -0.5
    assert scores[f"residual of {percent} %"].mean() == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize(
    ("what", "pixels"), [("centre square", 400), ("outlines", 152), ("outline of the centre square", 76)]
)
def test_a_part_of_the_squares_has_a_closed_form(scores, what, pixels):
    """For a part of q of the n pixels in a mask of p: √(q (n - p) / (p (n - q)))."""
    n, p = SIZE**2, 800
    np.testing.assert_allclose(scores[what], np.sqrt(pixels * (n - p) / (p * (n - pixels))))
