"""The absolute gradient of the log-odds against its definition and closed forms; the score that its relatives share."""

import warnings

import pytest
import torch

from evidence.attribution.gradient import LogOdds, attribute


@pytest.mark.parametrize("label", [0, 1])
def test_two_classes_equal_the_gradient_of_the_probability_over_its_variance(classifier, images, same, label):
    pixels = images.clone().requires_grad_()
    p = classifier(pixels).softmax(1)[:, label]
    (slope,) = torch.autograd.grad(p.sum(), pixels)
    variance = (p * (1 - p)).detach().reshape(-1, *(1,) * (images.dim() - 1))
    same(attribute(images, classifier, label=label), (slope / variance).abs().sum(1, keepdim=True))


@pytest.mark.parametrize("head", ["cam", "convolution"])
def test_other_heads_by_finite_differences(kind, classifier_of, images_of, head):
    """A step of ±h at every pixel, by the sign of its gradient, changes the score by h · Σ |gradient|."""
    network, images = classifier_of(kind, head).double().eval().requires_grad_(False), images_of(kind).double()
    pixels = images.clone().requires_grad_()
    logits = network(pixels)
    (slope,) = torch.autograd.grad((logits[:, 1] - logits[:, 0]).sum(), pixels)
    step = 1e-7 * slope.sign()
    odds = [network(images + s)[:, 1] - network(images + s)[:, 0] for s in (step, -step)]
    total = attribute(images, network).flatten(1).sum(1)
    torch.testing.assert_close((odds[0] - odds[1]) / 2e-7, total, rtol=1e-4, atol=0)


def test_a_linear_classifier_has_the_difference_of_its_weights_everywhere(images, linear, same):
    rows = torch.randn(2, *images.shape[1:], generator=torch.Generator().manual_seed(3))
    expected = (rows[1] - rows[0]).abs().sum(0).expand(len(images), 1, *images.shape[2:])
    same(attribute(images, linear(*rows)), expected)
    same(attribute(images, linear(*rows), label=0), expected)


def test_more_classes_play_against_the_softmax_of_the_others(images, linear, same):
    rows = torch.randn(3, *images.shape[1:], generator=torch.Generator().manual_seed(3)) / 10
    network = linear(*rows)
    q = network(images)[:, [0, 2]].softmax(1)  # of each other class, were it not for this one
    others = torch.einsum("bk,k...->b...", q, rows[[0, 2]])
    same(attribute(images, network), (rows[1] - others).abs().sum(1, keepdim=True))


def test_log_odds_and_probability_are_those_of_the_softmax(kind, classifier_of, images):
    network = classifier_of(kind, classes=4).eval()
    p = network(images).softmax(1)[:, 2]
    score = LogOdds(network, 2)
    torch.testing.assert_close(score(images), (p / (1 - p)).log(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(score.probability(images), p)


@pytest.mark.parametrize("odds", [-60.0, -12.0, 0.0, 12.0, 60.0])
def test_the_derivative_of_the_probability_keeps_its_digits_near_certainty(odds):
    """p(1 - p) at float32, where 1 - p rounds to a few bits or to zero."""
    logits = torch.tensor([[0.3, 0.3 + odds]])
    pixels = logits.clone().requires_grad_()
    (slope,) = torch.autograd.grad(LogOdds(torch.nn.Identity(), 1).probability(pixels).sum(), pixels)
    z = logits.double()[:, 1] - logits.double()[:, 0]
    exact = torch.sigmoid(z) * torch.sigmoid(-z)
    torch.testing.assert_close(slope.double(), torch.stack([-exact, exact], 1), rtol=1e-5, atol=0)


def test_no_evidence_no_map(undecided, images):
    assert not attribute(images, undecided).any()


def test_an_image_does_not_see_its_batch(classifier, images, same):
    maps = attribute(images, classifier)
    assert maps.shape == (3, 1, *images.shape[2:])
    assert maps.dtype == torch.float32
    same(maps[1:2], attribute(images[1:2], classifier))


def test_networks_and_images_are_left_as_they_were(trained, images, untouched):
    with untouched(trained, images), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = attribute(images, trained)
    assert not maps.requires_grad


def test_also_after_an_error(broken, images, untouched):
    with pytest.raises(RuntimeError, match="on purpose"), untouched(broken, images):
        attribute(images, broken)
