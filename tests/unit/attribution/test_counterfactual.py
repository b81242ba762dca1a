"""The maps on the way to an adversary against the identities that they owe to mathematics, one test each."""

import pytest
import torch
from torch import nn

from evidence.attribution import difference
from evidence.attribution.counterfactual import MAPS, TAPS, attribute, probability_of, sweep, weighted
from evidence.errors import BadInput
from evidence.networks.filters import gaussian

SPACE = (12, 16)
E, V1, V2, V2K = range(4)


def drawn(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def ends():
    """Starts and adversaries of three images of two channels, alike in half of the pixels."""
    start, adversary = drawn(0, 3, 2, *SPACE), drawn(1, 3, 2, *SPACE)
    adversary[..., ::2] = start[..., ::2]
    return start, adversary


class Smooth(nn.Module):
    """A small convolutional classifier with two logits, without kinks."""

    def __init__(self, channels=2, activation=nn.Softplus):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.layers = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), activation(), nn.Conv2d(4, 2, 3))
        self.double()

    def forward(self, images):
        return 4 * self.layers(images).mean((2, 3))


def mapped(slope, start, adversary, steps=50, sigma=2.0, points=0):
    change = adversary - start
    return weighted(change, *sweep(slope, start, change, steps, points), sigma)


def linear(seed=4):
    """f = w·x, and w."""
    w = drawn(seed, 2, *SPACE) - 0.5
    return (lambda images: ((images * w).flatten(1).sum(1), w.expand_as(images))), w


def squared(tensor):
    return tensor.square().sum(1, keepdim=True)


def test_1_no_way_no_map(ends):
    start, _ = ends
    assert not mapped(probability_of(Smooth()), start, start.clone()).any()


@pytest.mark.parametrize("activation", [nn.Softplus, nn.ReLU])
def test_2_v2_is_at_least_v1_and_both_are_no_less_than_nothing(ends, activation):
    maps = mapped(probability_of(Smooth(activation=activation)), *ends)
    assert (maps >= 0).all()
    assert (maps[:, V2] >= maps[:, V1] * (1 - 1e-12)).all()
    if activation is nn.ReLU:  # its gradient changes sign on the way
        assert (maps[:, V2] > maps[:, V1] * 1.01).any()


def test_2_they_are_equal_where_the_gradient_keeps_its_sign(ends):
    slope, _ = linear()
    maps = mapped(slope, *ends)
    torch.testing.assert_close(maps[:, V1], maps[:, V2], rtol=1e-12, atol=0)


def test_3_v1_is_the_change_times_the_integrated_gradient_of_the_way(ends):
    start, adversary = (end[:, :1] for end in ends)
    slope, change = probability_of(Smooth(1)), adversary - start
    mean, _ = sweep(slope, start, change, 50)
    torch.testing.assert_close(mapped(slope, start, adversary)[:, [V1]], change.abs() * (change * mean).abs())


def completeness(slope, start, adversary, steps):
    change = adversary - start
    mean, _ = sweep(slope, start, change, steps)
    return (change * mean).flatten(1).sum(1) - (slope(adversary)[0] - slope(start)[0])


def test_4_the_way_adds_up_to_what_it_changes_with_an_error_that_falls_by_the_square_of_the_steps(ends):
    slope = probability_of(Smooth())
    coarse, fine = (completeness(slope, *ends, steps).abs().max() for steps in (10, 50))
    gain = (slope(ends[1])[0] - slope(ends[0])[0]).abs().min()
    assert fine < 1e-5 * gain
    assert coarse / fine == pytest.approx(25, rel=0.1)


def test_4_with_kinks_it_adds_up_more_slowly(ends):
    slope = probability_of(Smooth(activation=nn.ReLU))
    gain = (slope(ends[1])[0] - slope(ends[0])[0]).abs().max()
    assert completeness(slope, *ends, 200).abs().max() < 0.01 * gain


def test_5_the_sizes_add_up_to_no_less(ends):
    start, adversary = ends
    slope, change = probability_of(Smooth()), adversary - start
    mean, _ = sweep(slope, start, change, 50)
    gain = (slope(adversary)[0] - slope(start)[0]).abs()
    assert ((change * mean).abs().flatten(1).sum(1) >= gain * (1 - 1e-5)).all()


def test_6_the_way_back_has_the_same_maps(ends):
    slope, (start, adversary) = probability_of(Smooth()), ends
    torch.testing.assert_close(mapped(slope, start, adversary), mapped(slope, adversary, start), rtol=1e-9, atol=1e-14)


def test_7_the_other_class_has_the_same_maps_and_a_scale_comes_through(ends):
    slope = probability_of(Smooth())
    maps = mapped(slope, *ends)

    def other(images, scale=-1.0):
        value, gradient = slope(images)
        return 1 - value, scale * gradient

    torch.testing.assert_close(mapped(other, *ends), maps)
    scaled = mapped(lambda images: other(images, -3.0), *ends)
    torch.testing.assert_close(scaled[:, E], maps[:, E])
    torch.testing.assert_close(scaled[:, V1:], 3 * maps[:, V1:])


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_8_of_a_linear_classifier_any_number_of_steps_is_exact(ends, steps):
    (slope, w), (start, adversary) = linear(), ends
    maps = mapped(slope, start, adversary, steps)
    expected = (w.abs() * (adversary - start).square()).sum(1)
    torch.testing.assert_close(maps[:, V1], expected)
    torch.testing.assert_close(maps[:, V2], expected)
    assert completeness(slope, start, adversary, steps).abs().max() < 1e-12


class Logistic(nn.Module):
    """Log-odds w·x + b."""

    def __init__(self, w, b):
        super().__init__()
        self.w, self.b = w, b

    def forward(self, images):
        z = (images * self.w).flatten(1).sum(1) + self.b
        return torch.stack([-z / 2, z / 2], 1)


def test_9_of_a_logistic_classifier_the_maps_are_known(ends):
    start, adversary = ends
    w = 0.3 * (drawn(5, 2, *SPACE) - 0.5)
    slope, change = probability_of(Logistic(w, -0.2)), adversary - start
    gain, along = slope(adversary)[0] - slope(start)[0], (w * change).flatten(1).sum(1)
    expected = (w.abs() * change.square()).sum(1) * (gain / along).abs().view(-1, 1, 1)
    maps = mapped(slope, start, adversary)
    torch.testing.assert_close(maps[:, V1], expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(maps[:, V2], expected, rtol=1e-5, atol=0)


def test_9_where_the_way_leads_along_the_boundary_too(ends):
    start, adversary = ends
    w = 0.3 * (drawn(5, 2, *SPACE) - 0.5)
    change = adversary - start
    w = w - change[0] * (w * change[0]).sum() / change[0].square().sum()  # the first way changes nothing
    p = probability_of(Logistic(w, 0.4))(start)[0][0]
    maps = mapped(probability_of(Logistic(w, 0.4)), start, adversary)
    torch.testing.assert_close(maps[0, V1], (w.abs() * change[0].square()).sum(0) * p * (1 - p))


def test_10_of_a_quadratic_the_maps_are_known(ends):
    q = drawn(6, *SPACE) - 0.5
    start, adversary = (end[:, :1] - 0.5 for end in ends)

    def slope(images):
        return (0.5 * q * images.square()).flatten(1).sum(1), q * images

    square = (adversary - start).square()
    v1 = square * (q * (start + adversary) / 2).abs()
    distance = (adversary - start).abs()
    crossing = q.abs() * square * (start.square() + adversary.square()) / (2 * distance)
    v2 = torch.where(start * adversary < 0, crossing, v1)
    for steps in (1, 50):
        torch.testing.assert_close(mapped(slope, start, adversary, steps)[:, [V1]], v1)
    assert (mapped(slope, start, adversary)[:, [V2]] - v2).norm() < 1e-3 * v2.norm()
    assert (start * adversary < 0).any()


def test_11_smoothing_each_step_or_their_mean_is_one(ends):
    slope, (start, adversary) = probability_of(Smooth()), ends
    change, steps = adversary - start, 5
    parts = []
    for m in range(steps):
        _, gradient = slope(start + (m + 0.5) / steps * change)
        parts.append(gaussian(squared(change * gradient.abs().sqrt()), 2.0, taps=TAPS))
    torch.testing.assert_close(mapped(slope, start, adversary, steps)[:, [V2K]], sum(parts) / steps)


def test_12_smoothing_keeps_the_mass_within_the_image_and_makes_no_peak(ends):
    maps = torch.zeros(2, 1, 40, 50, dtype=torch.float64)
    maps[:, :, 15:25, 16:30] = drawn(7, 2, 1, 10, 14)
    found = gaussian(maps, 2.0, taps=TAPS)
    torch.testing.assert_close(found.sum((1, 2, 3)), maps.sum((1, 2, 3)))
    assert (found.amax((1, 2, 3)) < maps.amax((1, 2, 3))).all()
    assert gaussian(torch.ones_like(maps), 2.0, taps=TAPS)[0, 0, 0, 0] == pytest.approx(0.36, abs=0.01)  # zeros outside


@pytest.mark.parametrize("space", [(9, 31), (5, 31, 4)])
def test_12_the_filter_is_scipys(space):
    ndimage = pytest.importorskip("scipy.ndimage")
    maps = drawn(8, 2, 1, *space)
    expected = [ndimage.gaussian_filter(one[0].numpy(), 2.0, mode="constant", radius=14) for one in maps]
    for one, other in zip(gaussian(maps, 2.0, taps=TAPS), expected, strict=True):
        torch.testing.assert_close(one[0], torch.from_numpy(other))


def test_13_chunks_and_companions_change_nothing(ends):
    slope, (start, adversary) = probability_of(Smooth()), ends
    whole = mapped(slope, start, adversary, 10, points=30)
    for points in (1, 7, 10, 1000):
        torch.testing.assert_close(mapped(slope, start, adversary, 10, points=points), whole)
    alone = [mapped(slope, start[i : i + 1], adversary[i : i + 1], 10, points=4) for i in range(3)]
    torch.testing.assert_close(torch.cat(alone), whole)


def test_14_a_grey_image_in_three_channels_has_the_gradient_of_one(ends):
    """Summing the first convolution's weights over its channels is the same network."""
    three, one = Smooth(3), Smooth(1)
    one.load_state_dict({**three.state_dict(), "layers.0.weight": three.layers[0].weight.sum(1, keepdim=True)})
    grey = ends[0][:, :1]
    values, gradient = probability_of(three)(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(probability_of(one)(grey), (values, gradient.sum(1, keepdim=True)))


# --- the method -------------------------------------------------------------------------------------------------------


class Given(nn.Module):
    """A generator that knows the answer, and remembers what the classifier decided."""

    def __init__(self, start, adversary):
        super().__init__()
        self.ends, self.decided = (start, adversary), None

    def path(self, images, labels):
        self.decided = labels
        return self.ends


def test_the_method_is_the_sweep_between_what_the_generator_makes(ends):
    images, classifier, generator = drawn(9, 3, 2, *SPACE), Smooth(), Given(*ends)
    maps, columns = attribute(images, generator, classifier, steps=20, sigma=1.5)
    slope = probability_of(classifier)
    torch.testing.assert_close(maps, mapped(slope, *ends, 20, 1.5))
    assert maps.shape == (3, len(MAPS), *SPACE)
    p = classifier(images).softmax(1)[:, 1]
    assert torch.equal(generator.decided, (p >= 0.5).long())
    for name, where in (("before", images), ("start", ends[0]), ("adversary", ends[1])):
        torch.testing.assert_close(columns[name], classifier(where).softmax(1)[:, 1])
    torch.testing.assert_close(columns["completeness"], completeness(slope, *ends, 20), rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(columns["residue"], (images - ends[0]).abs().mean((1, 2, 3)))


def test_the_difference_alone_is_the_first_of_the_maps(ends):
    images, classifier, generator = drawn(9, 3, 2, *SPACE), Smooth(), Given(*ends)
    alone, told = difference.attribute(images, generator, classifier)
    maps, columns = attribute(images, generator, classifier, steps=2)
    torch.testing.assert_close(alone, maps[:, E : E + 1], rtol=0, atol=0)
    assert told.keys() == columns.keys() - {"completeness"}
    for name, values in told.items():
        torch.testing.assert_close(values, columns[name], rtol=0, atol=0)
    with pytest.raises(BadInput, match="a Smooth makes no adversaries; train cyce"):
        difference.attribute(images, classifier, classifier)


def test_a_classifier_that_is_sure_still_has_a_map(ends):
    """In float32 its probability is 1 all along the way, and p (1 - p) by p itself would be 0."""
    start, adversary = (end.float() for end in ends)
    w = drawn(5, 2, *SPACE).float() / 100
    sure = Logistic(w, 30.0)
    assert (sure(start).softmax(1)[:, 1] == 1).all()
    maps, _ = attribute(start, Given(start, adversary), sure)
    exact, _ = attribute(start.double(), Given(start.double(), adversary.double()), Logistic(w.double(), 30.0))
    torch.testing.assert_close(maps.double(), exact, rtol=1e-3, atol=0)
    assert maps[:, V2].max() > 0


def test_without_a_step_there_is_no_map(ends):
    with pytest.raises(BadInput, match="at least 1 step, not 0"):
        attribute(ends[0], Given(*ends), Smooth(), steps=0)


def test_a_generator_without_adversaries_is_refused(ends):
    with pytest.raises(BadInput, match="a Smooth makes no adversaries; train cyce"):
        attribute(ends[0], Smooth(), Smooth())


def test_no_smoothing_leaves_v2(ends):
    maps, _ = attribute(ends[0], Given(*ends), Smooth(), sigma=0.0, steps=3)
    assert torch.equal(maps[:, V2], maps[:, V2K])
