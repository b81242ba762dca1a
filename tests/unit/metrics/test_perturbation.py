"""AOPC and R against closed forms, and the curves that both are made of."""

import numpy as np
import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.metrics import aopc, relevance
from evidence.perturbing import Replacement, ranked, some

SPACE = (8, 12)
PIXELS = 96


class Linear(nn.Module):
    """Two logits whose softmax is 1 - f and f, with f = b + w·x."""

    def __init__(self, w, b=0.5):
        super().__init__()
        self.w, self.b = torch.as_tensor(w, dtype=torch.float32), b

    def forward(self, images):
        f = self.b + (images * self.w).flatten(1).sum(1)
        return torch.stack([1 - f, f], 1).log()


class Known(nn.Module):
    """A perturber that knows the translations of these images, and which class each was asked for."""

    def __init__(self, images, others):
        super().__init__()
        self.known, self.asked = {image.tobytes(): other for image, other in zip(images, others, strict=True)}, []

    def translate(self, images, labels):
        self.asked += labels.tolist()
        found = [self.known[image.contiguous().numpy().tobytes()] for image in images]
        return torch.from_numpy(np.stack(found))


@pytest.fixture(autouse=True)
def on_cpu(monkeypatch):
    monkeypatch.setenv("EVIDENCE_DEVICE", "cpu")


@pytest.fixture
def case():
    """Six images and translations, and a linear classifier that decides both ways."""
    random = np.random.default_rng(0)
    images, others = random.uniform(-1, 1, (2, 6, 1, *SPACE)).astype(np.float32)
    w = random.uniform(-1, 1, (1, *SPACE)) * 0.4 / PIXELS
    w *= 0.45 / np.abs(w).sum()
    images *= np.sign((images * w).sum((1, 2, 3), keepdims=True)) * np.array([1, -1, 1, 1, -1, -1]).reshape(-1, 1, 1, 1)
    return images.astype(np.float32), others, Linear(w)


def contributions(images, others, classifier):
    """How much of p_c each pixel loses when it is replaced."""
    w = classifier.w.numpy().astype(np.float64)
    f = 0.5 + (images * w).sum((1, 2, 3))
    sign = np.where(f >= 0.5, 1, -1)
    return ((images - others) * w).reshape(len(images), -1) * sign[:, None], np.where(f >= 0.5, f, 1 - f)


def labels_of(images):
    return np.arange(len(images)) % 2


# --- curves -----------------------------------------------------------------------------------------------------------


def test_curves_lead_from_the_image_to_its_translation(case):
    images, others, classifier = case
    replacement = Replacement(images, classifier, Known(images, others))
    ranks = ranked(np.random.default_rng(1).normal(size=(6, PIXELS)), 0)
    found = replacement.curves(ranks, [0, 7, PIXELS])
    loss, before = contributions(images, others, classifier)
    np.testing.assert_allclose(found[:, 0], before, atol=1e-6)
    np.testing.assert_allclose(found[:, -1], before - loss.sum(1), atol=1e-6)
    first = np.argsort(ranks, 1)[:, :7]
    np.testing.assert_allclose(found[:, 1], before - np.take_along_axis(loss, first, 1).sum(1), atol=1e-6)
    assert set(replacement.decisions) == {0, 1}


def test_each_image_is_translated_once_to_the_class_it_was_not_decided_for(case):
    images, others, classifier = case
    perturber = Known(images, others)
    replacement = Replacement(images, classifier, perturber)
    assert perturber.asked == (1 - replacement.decisions).tolist()
    loss, before = contributions(images, others, classifier)
    assert replacement.flipped == np.mean(before - loss.sum(1) < 0.5)


def test_what_is_kept_one_way_is_replaced_the_other_way(case):
    """P_k from x to its translation is D_(K - k) from the translation to x, for the same class and ranking."""
    images, others, classifier = case
    ranks = ranked(np.random.default_rng(1).normal(size=(6, PIXELS)), 0)
    forth, back = (Replacement(a, classifier, Known(a, b)) for a, b in ((images, others), (others, images)))
    back.decisions = forth.decisions
    counts = list(range(0, PIXELS + 1, 8))
    kept = forth.curves(PIXELS - 1 - ranks, counts)
    np.testing.assert_allclose(kept, back.curves(ranks, counts)[:, ::-1], atol=1e-6)


def test_chunks_change_nothing(case, monkeypatch):
    images, others, classifier = case
    replacement, ranks = Replacement(images, classifier, Known(images, others)), ranked(np.ones((6, PIXELS)), 3)
    whole = replacement.curves(ranks, list(range(50)))
    monkeypatch.setattr("evidence.perturbing.POINTS", {"cpu": 7})
    np.testing.assert_allclose(replacement.curves(ranks, list(range(50))), whole, atol=1e-7)


def test_ties_are_drawn_and_seeded():
    values = np.zeros((200, 10))
    values[:, 0] = 1
    ranks = ranked(values, 0)
    assert (ranks[:, 0] == 0).all()
    assert (np.sort(ranks, 1) == np.arange(10)).all()
    assert np.abs(ranks[:, 1:].mean(0) - 5).max() < 0.75  # 2.58/√200 = 0.18 is a standard error
    assert (ranked(values, 0) == ranks).all()
    assert (ranked(values, 1) != ranks).any()


def test_some_of_each_class_are_from_all_over_it_and_always_the_same():
    labels = np.array([1, 1, 0, 1, 0, 0])
    assert np.bincount(labels[some(labels, 2)]).tolist() == [2, 2]
    assert some(labels, 0).tolist() == list(range(6))
    assert some(labels, 9).tolist() == list(range(6))
    many = np.repeat([0, 1], 1000)  # as patient after patient lie
    rows = some(many, 100)
    assert rows.tolist() == some(many, 100).tolist() == sorted(set(rows.tolist()))
    for first in (0, 1000):
        quarters = np.bincount((rows[(rows >= first) & (rows < first + 1000)] - first) // 250, minlength=4)
        assert (abs(quarters - 25) < 4 * np.sqrt(100 * 3 / 16)).all()


# --- AOPC -------------------------------------------------------------------------------------------------------------


def test_of_a_linear_classifier_the_area_is_known(case):
    images, others, classifier = case
    maps = np.random.default_rng(2).normal(size=images.shape)
    found = aopc.score(maps, images, labels_of(images), classifier, Known(images, others), region=4, every=1)
    loss, _ = contributions(images, others, classifier)
    for row in range(6):
        by_region = [maps[row, 0, r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4, 8)]
        losses = [loss[row].reshape(SPACE)[r : r + 4, c : c + 4].sum() for r in (0, 4) for c in (0, 4, 8)]
        dropped = np.cumsum([0, *np.array(losses)[np.argsort(by_region)[::-1]]])
        for most in range(1, 7):
            assert found[str(most)][row] == pytest.approx(dropped[: most + 1].sum() / (most + 1), abs=1e-6)
    assert list(found) == ["1", "2", "3", "4", "5", "6"]


def test_the_best_map_is_the_loss_itself_and_noise_takes_the_mean(case):
    images, others, classifier = case
    loss, _ = contributions(images, others, classifier)

    def area(maps):
        maps = maps.reshape(len(images), 1, *SPACE)
        found = aopc.score(maps, images, labels_of(images), classifier, Known(images, others), region=1, every=1)
        return np.stack([found[str(k)] for k in (10, PIXELS)])

    best, worst = area(loss), area(-loss)
    noises = [area(np.random.default_rng(s).normal(size=loss.shape)) for s in range(30)]
    for noise in noises:
        assert (best >= noise).all()
        assert (noise >= worst).all()
    expected = np.stack([loss.mean(1) * k / 2 for k in (10, PIXELS)])  # k pixels lose k means; the mean over k is half
    assert np.mean(noises, 0)[1] == pytest.approx(expected[1], abs=0.01)


def test_every_few_regions_and_a_limit(case):
    images, others, classifier = case
    given = (np.ones(images.shape), images, labels_of(images), classifier, Known(images, others))
    assert list(aopc.score(*given, region=2, regions=20, every=4)) == ["4", "8", "12", "16", "20"]
    fine, coarse = (aopc.score(*given, region=2, regions=20, every=every) for every in (1, 4))
    np.testing.assert_allclose(coarse["20"], fine["20"], atol=0.02)


def test_images_that_are_left_out_are_nan(case):
    images, others, classifier = case
    found = aopc.score(
        np.ones(images.shape), images, np.array([0, 0, 0, 1, 1, 1]), classifier, Known(images, others), region=4, each=1
    )
    assert np.flatnonzero(np.isfinite(found["4"])).tolist() == some(np.array([0, 0, 0, 1, 1, 1]), 1).tolist()


def test_regions_that_do_not_tile_are_refused(case):
    images, others, classifier = case
    with pytest.raises(BadInput, match="squares of side 5 do not tile images of 8×12"):
        aopc.score(images, images, labels_of(images), classifier, Known(images, others), region=5)


def test_regions_of_a_volume():
    means, numbers = aopc.by_region(np.arange(64.0).reshape(1, 4, 4, 4), 2)
    assert means.shape == (1, 8)
    assert means[0, 0] == np.mean([0, 1, 4, 5, 16, 17, 20, 21])
    assert numbers.reshape(4, 4, 4)[0, 0].tolist() == [0, 0, 1, 1]
    assert numbers.reshape(4, 4, 4)[3, 3].tolist() == [6, 6, 7, 7]


def test_a_network_that_translates_nothing_is_refused(case):
    images, _, classifier = case
    with pytest.raises(BadInput, match="a Linear translates no images; train fixed_point"):
        Replacement(images, classifier, classifier)


# --- R ----------------------------------------------------------------------------------------------------------------


def r_of(case, maps, **options):
    images, others, classifier = case
    return relevance.score(maps, images, labels_of(images), classifier, Known(images, others), **options)


def test_the_areas_of_a_linear_classifier_are_known(case):
    images, others, classifier = case
    maps = np.random.default_rng(2).normal(size=images.shape)
    found = r_of(case, maps, steps=PIXELS)
    loss, before = contributions(images, others, classifier)
    order = np.argsort(-maps.reshape(6, -1), 1)
    dropped = np.cumsum(np.take_along_axis(loss, order, 1), 1)
    kept = np.cumsum(np.take_along_axis(loss, order[:, ::-1], 1), 1)
    for name, drop in (("degradation", dropped), ("preservation", kept)):
        curve = before[:, None] - np.concatenate([np.zeros((6, 1)), drop], 1)
        expected = (curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2) / PIXELS
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_r_is_the_harmonic_mean_of_the_groups_means(case):
    images, others, classifier = case
    found = r_of(case, np.random.default_rng(2).normal(size=images.shape), steps=12)
    decided = Replacement(images, classifier, Known(images, others)).decisions
    for name, group in (("all", slice(None)), ("0", decided == 0), ("1", decided == 1)):
        a, b = 1 - found["degradation"][group].mean(), found["preservation"][group].mean()
        assert found[name] == pytest.approx([2 * a * b / (a + b)])
        assert 0 <= found[name][0] <= min(1, 2 * min(a, b))


@pytest.mark.parametrize("p", [0.6, 0.9])
def test_of_a_constant_classifier_there_is_no_drop(case, p):
    images, others, _ = case
    constant = Linear(np.zeros((1, *SPACE)), p)
    given = (images, images, labels_of(images), constant, Known(images, others))
    assert relevance.score(*given, steps=7)["all"] == pytest.approx([2 * p * (1 - p)])
    assert all(np.abs(area).max() < 1e-6 for area in aopc.score(*given, region=4).values())


def test_where_the_translation_is_the_image_all_maps_are_equal(case):
    images, _, classifier = case
    same = (images, images, classifier)
    one, other = (r_of(same, np.random.default_rng(s).normal(size=images.shape), steps=9) for s in (1, 2))
    assert one["all"] == pytest.approx(other["all"])
    assert one["flipped"] == [0]


def test_a_group_without_images_has_no_r(case):
    images, others, _ = case
    found = relevance.score(
        images, images, labels_of(images), Linear(np.zeros((1, *SPACE)), 0.9), Known(images, others), steps=3
    )
    assert np.isnan(found["0"]).all()
    assert np.isfinite(found["1"]).all()
