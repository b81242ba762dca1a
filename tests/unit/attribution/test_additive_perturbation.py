"""Additive perturbation against Adam and its objective written out, and closed forms of both."""

import inspect
import itertools
import warnings

import pytest
import torch

from evidence.attribution.additive_perturbation import attribute, total_variation

FREE = {"l1": 0.0, "tv": 0.0}


def slow_variation(image, beta):
    """Pixel after pixel, with the differences to the next one along each axis; the last row, column, … has none."""
    total = 0.0
    for channel in image:
        for place in itertools.product(*(range(size - 1) for size in channel.shape)):
            square = 0.0
            for axis in range(channel.dim()):
                there = tuple(p + (a == axis) for a, p in enumerate(place))
                square = square + (channel[there] - channel[place]) ** 2
            total = total + square if beta == 2 else total + square ** (beta / 2)
    return total


def slow(classifier, image, label, l1, tv, lr, iterations):
    """One image, Adam (Kingma & Ba, 2015, algorithm 1) in plain steps, the objective in the words of VA-GAN."""
    m = torch.zeros_like(image)
    first, second = torch.zeros_like(image), torch.zeros_like(image)
    for t in range(1, iterations + 1):
        point = m.clone().requires_grad_()
        p = classifier((image + point)[None]).softmax(1)[0, label]
        roughness = sum((diff**2).sum() for diff in inner_differences(point))
        (g,) = torch.autograd.grad(p + l1 * point.abs().sum() + tv * roughness, point)
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g**2
        m = m - lr * (first / (1 - 0.9**t)) / ((second / (1 - 0.999**t)).sqrt() + 1e-8)
    return -m.mean(0, keepdim=True)


def inner_differences(image):
    """Along each axis, cut to the grid without the last pixels of the other axes."""
    for axis in range(1, image.dim()):
        diff = image.diff(dim=axis)
        yield diff[(slice(None), *(slice(-1) if a != axis else slice(None) for a in range(1, image.dim())))]


@pytest.mark.parametrize("label", [0, 1])
def test_agrees_with_the_definition(classifier, images, same, label):
    """In float64, because the sign of a change that is nearly zero decides about its next step."""
    options = {"l1": 1e-4, "tv": 1e-2, "lr": 1e-2, "iterations": 6}
    network, images = classifier.double(), images.double()
    maps, columns = attribute(images, network, label=label, **options)
    same(maps, torch.stack([slow(network, image, label, **options) for image in images]), 1e-6)
    torch.testing.assert_close(columns["probability_before"], network(images).softmax(1)[:, label])


def test_float32_does_not_matter_as_long_as_nothing_is_nearly_zero(classifier, images, same):
    exact, _ = attribute(images.double(), classifier.double(), iterations=1)
    maps, _ = attribute(images, classifier.float(), iterations=1)
    assert maps.dtype == torch.float32
    same(maps, exact, 1e-2)


def test_the_first_step_of_adam_is_the_gradient_by_its_size(images, linear_probability, same):
    weights = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(3)) * 1e-7
    maps, _ = attribute(images, linear_probability(weights), lr=0.1, iterations=1)
    expected = (0.1 * weights / (weights.abs() + 1e-8)).mean(0, keepdim=True).expand_as(maps)
    same(maps, expected, 1e-3)


def test_a_constant_gradient_is_followed_at_the_learning_rate(images_of, linear_probability, same):
    """Nothing pulls back and nothing clips: after k steps the change is k · lr, here far out of [-1, 1]."""
    images = images_of("slice")
    weights = torch.where(torch.arange(32) % 2 == 0, 1e-6, -1e-6).expand(1, 24, 32)
    maps, columns = attribute(images, linear_probability(weights), lr=0.5, iterations=20, **FREE)
    same(maps, (10 * weights.sign() / 1.01).expand_as(images), 1e-3)
    drop = columns["probability_before"] - columns["probability_after"]
    torch.testing.assert_close(drop, (maps * weights).flatten(1).sum(1), rtol=1e-3, atol=1e-6)


def test_evidence_is_positive_where_taking_it_away_helps(images_of, linear_probability):
    """A bright square speaks for the class: the map is positive there and, without smoothing, nowhere else."""
    weights = torch.zeros(1, 24, 32)
    weights[:, 4:10, 6:16] = 1e-3
    maps, _ = attribute(images_of("slice"), linear_probability(weights), l1=1e-5, tv=0.0, iterations=20)
    assert torch.equal(maps > 0.05, (weights > 0).expand_as(maps))
    assert not maps[(weights == 0).expand_as(maps)].any()


def test_the_columns_are_the_probabilities_of_the_image_and_of_what_is_left_of_it(classifier_of, images_of):
    network, images = classifier_of("slice").eval().requires_grad_(False), images_of("slice")
    maps, columns = attribute(images, network, iterations=10, l1=1e-5)
    torch.testing.assert_close(columns["probability_before"], network(images).softmax(1)[:, 1])
    torch.testing.assert_close(columns["probability_after"], network(images - maps).softmax(1)[:, 1])
    assert (columns["probability_after"] < columns["probability_before"]).all()


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0])
def test_total_variation_agrees_with_a_loop_over_pixels(dims, beta):
    random = torch.Generator().manual_seed(3)
    images = torch.randn(2, 2, *(4, 5, 3)[:dims], generator=random, dtype=torch.float64).requires_grad_()
    value, expected = total_variation(images, beta), sum(slow_variation(image, beta) for image in images)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(*(torch.autograd.grad(v, images)[0] for v in (value, expected)))


@pytest.mark.parametrize("beta", [1.0, 2.0, 3.0])
def test_total_variation_of_a_ramp(beta):
    ramp = 2.0 * torch.arange(5)[:, None] + 3.0 * torch.arange(7)
    torch.testing.assert_close(total_variation(ramp[None, None], beta), torch.tensor(4 * 6 * 13 ** (beta / 2)))


@pytest.mark.parametrize("beta", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_total_variation_has_no_derivative_where_nothing_varies(beta):
    flat = torch.zeros(1, 1, 4, 5, requires_grad=True)
    (slope,) = torch.autograd.grad(total_variation(flat, beta), flat)
    assert not slope.any()  # not even NaN, which any() counts


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_more_total_variation_makes_a_smoother_map(images_of, classifier_of, beta):
    network, images = classifier_of("slice").eval().requires_grad_(False), images_of("slice")
    rough, smooth = (
        total_variation(attribute(images, network, l1=0.0, tv=tv, beta=beta, iterations=15)[0], 2.0)
        for tv in (0.0, 1.0)
    )
    assert smooth < rough / 2


def test_no_evidence_no_map(undecided, images):
    maps, columns = attribute(images, undecided, iterations=4)
    assert not maps.any()
    assert torch.equal(columns["probability_after"], columns["probability_before"])


def test_an_image_does_not_see_its_batch(classifier, images, same):
    network, images = classifier.double(), images.double()
    maps, columns = attribute(images, network, iterations=6)
    alone, column = attribute(images[1:2], network, iterations=6)
    assert maps.shape == (3, 1, *images.shape[2:])
    same(maps[1:2], alone, 1e-6)
    for name in columns:
        torch.testing.assert_close(columns[name][1:2], column[name])


def test_how_images_lie_in_memory_does_not_matter(images_of, classifier_of, same):
    """The optimiser walks through memory: change, gradient and its moments have to lie alike."""
    network, images = classifier_of("volume").double().eval().requires_grad_(False), images_of("volume").double()
    expected, _ = attribute(images, network, iterations=6)
    same(attribute(images.contiguous(memory_format=torch.channels_last_3d), network, iterations=6)[0], expected, 1e-6)


def test_networks_and_images_are_left_as_they_were(trained, images, untouched):
    with untouched(trained, images), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        maps, columns = attribute(images, trained, iterations=2)
    assert not maps.requires_grad
    assert not any(column.requires_grad for column in columns.values())


def test_weights_that_are_not_frozen_get_no_gradients(trained, images):
    attribute(images, trained.eval(), iterations=2)
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_also_after_an_error(broken, images, untouched):
    with pytest.raises(RuntimeError, match="on purpose"), untouched(broken, images):
        attribute(images, broken, iterations=2)


def test_the_defaults_are_those_of_the_paper():
    """Its text, section 4.1; the released defaults are other ones."""
    asked = inspect.signature(attribute).parameters
    values = {name: asked[name].default for name in ("l1", "tv", "beta", "lr", "iterations")}
    assert values == {"l1": 0.01, "tv": 1e-5, "beta": 2, "lr": 0.01, "iterations": 1500}
