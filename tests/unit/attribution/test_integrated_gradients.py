"""Integrated gradients against a loop over the steps, closed forms, and its own account of its error."""

import warnings

import pytest
import torch

from evidence.attribution.integrated_gradients import attribute
from evidence.errors import BadInput


def slope(classifier, image, label):
    """∂p/∂x at one image, p the softmax."""
    pixels = image[None].clone().requires_grad_()
    return torch.autograd.grad(classifier(pixels).softmax(1)[0, label], pixels)[0][0]


def slow(classifier, images, label, steps, baseline=0.0):
    """Image after image and step after step; the end of the way, x itself, is left out."""
    maps = []
    for image in images:
        total, way = torch.zeros_like(image), image - baseline
        for k in range(steps):
            total += slope(classifier, baseline + k / steps * way, label)
        maps.append(way * total / steps)
    return torch.stack(maps)


@pytest.mark.parametrize("label", [0, 1])
def test_agrees_with_a_loop_over_the_steps(classifier, images, same, label):
    classifier, images = classifier.double(), images.double()  # in float32 a maximum among near equals may be another
    signed = slow(classifier, images, label, steps=7)
    maps, columns = attribute(images, classifier, label=label, steps=7)
    same(maps, signed.abs().sum(1, keepdim=True))
    gain = classifier(images).softmax(1)[:, label] - classifier(0 * images).softmax(1)[:, label]
    expected = signed.double().flatten(1).sum(1) - gain.double()
    torch.testing.assert_close(columns["completeness"], expected, rtol=1e-3, atol=1e-5)


def test_the_way_may_begin_at_black(classifier, images, same):
    classifier, images = classifier.double(), images.double()
    signed = slow(classifier, images, 1, steps=7, baseline=-1.0)
    maps, columns = attribute(images, classifier, steps=7, baseline=-1.0)
    same(maps, signed.abs().sum(1, keepdim=True))
    gain = classifier(images).softmax(1)[:, 1] - classifier(0 * images - 1).softmax(1)[:, 1]
    torch.testing.assert_close(columns["completeness"], signed.flatten(1).sum(1) - gain, rtol=1e-3, atol=1e-5)
    zeros, _ = attribute(images, classifier, steps=7)
    assert (maps - zeros).abs().max() > 0.01 * maps.max()


def test_a_linear_probability_is_complete_from_any_baseline(images, linear_probability, same):
    """Σ w (x - b) is the gain from b to x, whatever the steps; and a pixel of the baseline's intensity has no share."""
    weights = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(3)) / images[0].numel()
    images = images.clone()
    images[:, :, 2, 3] = -1.0
    maps, columns = attribute(images, linear_probability(weights), steps=3, baseline=-1.0)
    same(maps, ((images + 1) * weights).abs().sum(1, keepdim=True))
    torch.testing.assert_close(columns["completeness"], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-6)
    assert not maps[:, :, 2, 3].any()


def test_the_paper_has_a_hundred_steps(images_of, linear_probability, monkeypatch):
    """Counted where they are taken: a hundred images go through with a gradient, the last at 0.99 of the way."""
    images, seen = images_of("slice", 1), []
    network = linear_probability(torch.full_like(images[0], 1e-4))
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    attribute(images, network)
    path = torch.cat([part.detach() for part in seen if part.requires_grad])
    torch.testing.assert_close(path, images * torch.arange(100).reshape(-1, 1, 1, 1) / 100)


def test_two_steps_are_the_gradients_at_nothing_and_at_half_the_image(classifier, images, same):
    expected = [x * (slope(classifier, 0 * x, 1) + slope(classifier, x / 2, 1)) / 2 for x in images]
    same(attribute(images, classifier, steps=2)[0], torch.stack(expected).abs().sum(1, keepdim=True))


def test_in_the_middle_they_are_taken_between(classifier, images, same):
    expected = [x * sum(slope(classifier, x * (k + 0.5) / 3, 1) for k in range(3)) / 3 for x in images]
    same(attribute(images, classifier, steps=3, rule="middle")[0], torch.stack(expected).abs().sum(1, keepdim=True))


def test_fewer_steps_are_refused(classifier, images):
    with pytest.raises(BadInput, match="at least 2 steps, not 1"):
        attribute(images, classifier, steps=1)


def test_a_linear_probability_is_attributed_exactly(images, linear_probability, same):
    weights = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(3)) / images[0].numel()
    maps, columns = attribute(images, linear_probability(weights), steps=3)
    same(maps, (images * weights).abs().sum(1, keepdim=True))
    torch.testing.assert_close(columns["completeness"], torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-6)


def test_linear_logits_have_the_input_times_the_sum_of_a_sigmoid_derivative(images, linear, same):
    rows = torch.randn(2, *images.shape[1:], generator=torch.Generator().manual_seed(3)) / 20
    way = torch.arange(10) / 10
    z = (images * (rows[1] - rows[0])).flatten(1).sum(1, keepdim=True) * way  # (image, step)
    mean = (z.sigmoid() * (-z).sigmoid()).mean(1).reshape(-1, *(1,) * (images.dim() - 1))
    maps, _ = attribute(images, linear(*rows), steps=10)
    same(maps, (images * (rows[1] - rows[0]) * mean).abs().sum(1, keepdim=True))


def test_the_error_that_it_reports_shrinks_as_one_over_the_steps(images, linear):
    """That of a left sum is (f(0) - f(1)) / 2n to first order: ten times less with ten times the steps."""
    rows = torch.randn(2, *images.shape[1:], generator=torch.Generator().manual_seed(3))
    rows *= 2 / (images * (rows[1] - rows[0])).flatten(1).sum(1).abs().max()  # log-odds up to 2 at the image
    coarse, fine = (attribute(images, linear(*rows), steps=n)[1]["completeness"] for n in (20, 200))
    assert coarse.dtype == torch.float64
    assert coarse.shape == (3,)
    assert (coarse.abs() > 1e-4).all()
    torch.testing.assert_close(coarse / fine, torch.full_like(fine, 10), rtol=0.2, atol=0)


def test_the_error_shrinks_for_a_real_classifier_too(classifier, images):
    coarse, fine = (attribute(images, classifier, steps=n)[1]["completeness"].abs().max() for n in (3, 60))
    assert fine < coarse / 2


def test_a_confident_classifier_is_attributed_as_in_float64(images, linear, same):
    """At log-odds of 100 at the image the softmax in float32 loses the gradient half way."""
    rows = torch.randn(2, *images.shape[1:], generator=torch.Generator().manual_seed(3))
    rows *= 100 / (images[:1] * (rows[1] - rows[0])).sum()
    exact, _ = attribute(images[:1].double(), linear(*rows.double()), steps=20)
    same(attribute(images[:1], linear(*rows), steps=20)[0], exact)


def test_no_evidence_no_map(undecided, images):
    maps, columns = attribute(images, undecided, steps=3)
    assert not maps.any()
    assert not columns["completeness"].any()


def test_an_image_does_not_see_its_batch(classifier, images, same):
    maps, columns = attribute(images, classifier, steps=5)
    alone, column = attribute(images[1:2], classifier, steps=5)
    assert maps.shape == (3, 1, *images.shape[2:])
    assert maps.dtype == torch.float32
    same(maps[1:2], alone)
    torch.testing.assert_close(columns["completeness"][1:2], column["completeness"], rtol=1e-3, atol=1e-6)


def test_networks_and_images_are_left_as_they_were(trained, images, untouched):
    with untouched(trained, images), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        maps, columns = attribute(images, trained, steps=3)
    assert not maps.requires_grad
    assert not columns["completeness"].requires_grad


def test_also_after_an_error(broken, images, untouched):
    with pytest.raises(RuntimeError, match="on purpose"), untouched(broken, images):
        attribute(images, broken, steps=3)
