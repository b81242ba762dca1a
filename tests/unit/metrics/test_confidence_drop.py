"""What is lost with the chosen pixels, of classifiers for which that is known, and which pixels are chosen."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.metrics.confidence_drop import score

SHAPES = [(3, 8, 12), (1, 4, 6, 5)]


class Linear(nn.Module):
    """Two logits whose softmax is 1 - f and f, with f = b + w·x."""

    def __init__(self, w, b):
        super().__init__()
        self.w, self.b = torch.as_tensor(w, dtype=torch.float32), b

    def forward(self, images):
        f = self.b + (images * self.w).flatten(1).sum(1)
        return torch.stack([1 - f, f], 1).log()


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")


@pytest.fixture(params=SHAPES, ids=["slice", "volume"])
def case(request):
    """Six images of class 1 of which p1 is about 0.7, and maps of them."""
    random = np.random.default_rng(0)
    images = random.uniform(-1, 1, (6, *request.param)).astype(np.float32)
    w = random.uniform(-1, 1, request.param)
    w *= 0.15 / np.abs(w).sum()
    return random.normal(size=(6, 1, *request.param[1:])), images, np.ones(6, int), Linear(w, 0.7)


def expected(images, classifier, chosen):
    """Σ w·(x - mean of the whole image) over the chosen pixels of all channels."""
    w, lost = classifier.w.numpy().astype(np.float64), []
    for image, pixels in zip(images.astype(np.float64), chosen, strict=True):
        gone = np.broadcast_to(pixels, image.shape)
        lost.append((w * (image - image.mean()))[gone].sum())
    return np.array(lost)


@pytest.mark.parametrize("threshold", [0.75, 0.2])
def test_strong_pixels_of_either_sign_are_lost(case, threshold):
    maps, images, labels, classifier = case
    found = score(maps, images, labels, classifier, threshold=threshold)
    chosen = np.stack([np.abs(each) / np.abs(each).max() > threshold for each in maps])
    assert (chosen & (maps < 0)).any()
    np.testing.assert_allclose(found["drop"], expected(images, classifier, chosen), atol=1e-6)
    np.testing.assert_allclose(found["area"], chosen.reshape(6, -1).mean(1))
    w = classifier.w.numpy().astype(np.float64)
    np.testing.assert_allclose(found["before"], 0.7 + (images * w).reshape(6, -1).sum(1), atol=1e-6)
    assert (np.abs(found["drop"]) > 1e-5).any()


def test_a_map_and_its_multiple_choose_the_same(case):
    maps, images, labels, classifier = case
    for rule in ("strong", "share"):
        one, other = (score(some, images, labels, classifier, rule=rule) for some in (maps, -0.25 * maps))
        assert {name: values.tolist() for name, values in one.items()} == {k: v.tolist() for k, v in other.items()}


def test_a_share_is_as_many_pixels_for_every_map(case):
    maps, images, labels, classifier = case
    pixels = maps[0].size
    for share, count in ((0.05, round(0.05 * pixels)), (0.5, pixels // 2), (1e-9, 1), (1.0, pixels)):
        found = score(maps, images, labels, classifier, rule="share", share=share)
        order = np.argsort(np.abs(maps).reshape(6, -1), 1)[:, ::-1]
        chosen = np.zeros((6, pixels), bool)
        np.put_along_axis(chosen, order[:, :count], True, 1)
        np.testing.assert_allclose(found["area"], count / pixels)
        np.testing.assert_allclose(found["drop"], expected(images, classifier, chosen.reshape(maps.shape)), atol=1e-6)


def test_of_pixels_equally_strong_the_first_are_chosen():
    images = np.linspace(-1, 1, 24, dtype=np.float32).reshape(1, 1, 4, 6)
    maps = np.zeros((1, 1, 4, 6))
    maps[0, 0, 3, 5] = 1
    classifier = Linear(np.full((1, 4, 6), 0.01), 0.7)
    chosen = np.zeros((1, 1, 4, 6), bool)
    chosen.flat[[0, 1, 23]] = True
    found = score(maps, images, np.ones(1, int), classifier, rule="share", share=3 / 24)
    np.testing.assert_allclose(found["drop"], expected(images, classifier, chosen), atol=1e-6)


def test_floors(case):
    maps, images, labels, classifier = case
    found = score(maps, images, labels, classifier, threshold=0.4)
    np.testing.assert_allclose(found["everything"], expected(images, classifier, np.ones(maps.shape, bool)), atol=1e-6)
    drawn = [score(maps, images, labels, classifier, threshold=0.4, seed=seed)["random"] for seed in range(200)]
    assert found["random"].tolist() == drawn[0].tolist()
    assert found["random"].tolist() != drawn[1].tolist()
    errors = np.std(drawn, axis=0) / np.sqrt(200)
    assert (np.abs(np.mean(drawn, 0) - found["area"] * found["everything"]) < 4 * errors + 1e-6).all()


def test_all_pixels_at_random_are_all_pixels(case):
    maps, images, labels, classifier = case
    found = score(maps, images, labels, classifier, rule="share", share=1.0)
    np.testing.assert_allclose(found["random"], found["everything"], atol=1e-7)
    np.testing.assert_allclose(found["drop"], found["everything"], atol=1e-7)


def test_only_images_of_class_1_that_are_decided_so_have_a_score(case):
    maps, images, _, classifier = case
    maps, wrong = maps.copy(), Linear(-classifier.w, 0.3)
    found = score(maps, images, np.array([1, 0, 1, 0, 1, 1]), classifier)
    for values in found.values():
        assert np.isnan(values).tolist() == [False, True, False, True, False, False]
    assert all(np.isnan(values).all() for values in score(maps, images, np.ones(6, int), wrong).values())
    assert all(np.isnan(values).all() for values in score(maps, images, np.zeros(6, int), wrong).values())


def test_a_map_that_is_the_same_everywhere_chooses_nothing(case):
    maps, images, labels, classifier = case
    whole = score(maps, images, labels, classifier, rule="share")
    maps = maps.copy()
    maps[1], maps[4] = 0, -0.3
    for rule in ("strong", "share", "jet"):
        found = score(maps, images, labels, classifier, rule=rule)
        for name in ("drop", "before", "area", "random"):
            assert np.flatnonzero(np.isnan(found[name])).tolist() == [1, 4]
        assert found["everything"].tolist() == whole["everything"].tolist()


# --- the released rule ------------------------------------------------------------------------------------------------


def jet(level):
    """Red, green and blue of JET at one of 256 levels: ramps of a quarter's length."""
    x = level / 255
    return [min(max(min(4 * x - low, high - 4 * x), 0), 1) for low, high in ((1.5, 4.5), (0.5, 3.5), (-0.5, 2.5))]


def released(difference):
    """Pixel by pixel: scale, eight bits, paint, grey with red and blue exchanged, compare."""
    raised = [max((d + 1) / 2, 0) for d in difference.flat]
    greys = []
    for value in raised:
        red, green, blue = jet(round(255 * value / max(raised)))
        greys.append(0.2989 * blue + 0.587 * green + 0.114 * red)
    return np.array([grey < 0.7 for grey in greys]).reshape(difference.shape)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("greatest", [0.2, 0.59, 0.61, 1.5])
def test_jet_chooses_what_the_released_code_chooses(greatest, channels):
    """Maps are sums over channels, of which each has the difference here."""
    random = np.random.default_rng(1)
    difference = random.uniform(-2, greatest, (2, 1, 16, 24))
    difference[:, 0, 0, 0], difference[:, 0, 0, 1] = greatest, 0
    images = random.uniform(-1, 1, (2, channels, 16, 24)).astype(np.float32)
    classifier = Linear(random.uniform(-1, 1, (channels, 16, 24)) * 1e-3 / channels, 0.7)
    found = score(channels * difference, images, np.ones(2, int), classifier, rule="jet")
    chosen = np.stack([released(each) for each in difference])
    np.testing.assert_allclose(found["area"], chosen.reshape(2, -1).mean(1))
    np.testing.assert_allclose(found["drop"], expected(images, classifier, chosen), atol=1e-6)
    assert chosen[0, 0, 0, 1] == (greatest < 0.6), "a pixel that does not differ"


def test_every_level_of_jet():
    """Levels are n where (d + 1)/2 is n/255 of its greatest value."""
    for level in range(255):
        maps = np.array([1.0, 2 * level / 255 - 1]).reshape(1, 1, 1, 2)
        images = np.array([1.0, -1.0], np.float32).reshape(1, 1, 1, 2)
        found = score(maps, images, np.ones(1, int), Linear(np.zeros((1, 1, 2)), 0.7), rule="jet")
        assert found["area"].tolist() == [1.0 if level <= 75 or level >= 160 else 0.5], level


def test_a_map_that_is_black_all_over_to_jet_chooses_nothing():
    maps = np.array([-1.5, -2.0]).reshape(1, 1, 1, 2)
    images = np.array([1.0, -1.0], np.float32).reshape(1, 1, 1, 2)
    found = score(maps, images, np.ones(1, int), Linear(np.zeros((1, 1, 2)), 0.7), rule="jet")
    assert np.isnan(found["drop"]).all()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": 1.0}, "threshold: 1.0 is no share of the greatest value"),
        ({"threshold": -0.1}, "threshold: -0.1"),
        ({"share": 0.0}, "share: 0.0 is no share of the pixels"),
        ({"share": 5.0}, "share: 5.0"),
    ],
)
def test_what_chooses_nothing_or_everything_is_refused(settings, words):
    images = np.zeros((1, 1, 2, 3), np.float32)
    with pytest.raises(BadInput, match=words):
        score(images, images, np.ones(1, int), Linear(np.zeros((1, 2, 3)), 0.7), **settings)
