"""Guided backpropagation against a network whose ReLUs are rewritten from the definition."""

import copy
import warnings

import pytest
import torch
from captum.attr import GuidedBackprop
from torch import nn

from evidence import machine
from evidence.attribution import gradient
from evidence.attribution.guided_backprop import attribute


class Guided(torch.autograd.Function):
    """A ReLU that passes a gradient where both its input and the gradient are positive."""

    @staticmethod
    def forward(ctx, values):
        ctx.save_for_backward(values)
        return values.clamp(min=0)

    @staticmethod
    def backward(ctx, slope):
        (values,) = ctx.saved_tensors
        return slope * (values > 0) * (slope > 0)


class GuidedReLU(nn.Module):
    def forward(self, values):
        return Guided.apply(values)


def guided(network: nn.Module) -> nn.Module:
    """A copy in float64 with every ReLU replaced."""
    network = copy.deepcopy(network).double()
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, GuidedReLU())
    return network


@pytest.mark.parametrize("head", ["dense", "convolution", "cam"])
@pytest.mark.parametrize("label", [0, 1])
def test_agrees_with_the_definition(kind, head, label, classifier_of, images, same):
    network = classifier_of(kind, head)
    with machine.evaluation(network):
        pixels = images.double().requires_grad_()
        logits = guided(network)(pixels)
        (slope,) = torch.autograd.grad((logits[:, label] - logits[:, 1 - label]).sum(), pixels)
        same(attribute(images, network, label=label), slope.abs().sum(1, keepdim=True))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_released_score_gives_the_same_map_up_to_scale(kind, classes, classifier_of, images, same):
    network = classifier_of(kind, classes=classes)
    with machine.evaluation(network):
        pixels = images.double().requires_grad_()
        p = guided(network)(pixels).softmax(1)[:, 1]
        (slope,) = torch.autograd.grad(p.sum(), pixels)
        scale = (p * (1 - p)).detach().reshape(-1, *(1,) * (images.dim() - 1))
        same(attribute(images, network), (slope / scale).abs().sum(1, keepdim=True))


def test_a_confident_classifier_still_has_a_map(classifier, images, same):
    """With logits 1e4 times as large the probability is 0 or 1 to the last bit, and its gradient is zero everywhere."""
    before = attribute(images, classifier)
    last = classifier.head[-1]
    last.weight.data *= 1e4
    last.bias.data *= 1e4
    pixels = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(classifier(pixels).softmax(1)[:, 1].sum(), pixels)
    assert not slope.flatten(1).any(1).all(), "the probability should have lost its gradient"
    same(attribute(images, classifier), 1e4 * before)


def test_differs_from_the_plain_gradient_with_relus_and_equals_it_without(classifier, images, linear, same):
    assert not torch.allclose(attribute(images, classifier), gradient.attribute(images, classifier))
    rows = torch.randn(2, *images.shape[1:], generator=torch.Generator().manual_seed(3))
    same(attribute(images, linear(*rows)), gradient.attribute(images, linear(*rows)))


def test_units_that_speak_against_the_class_are_left_out():
    """Logits (0, 3·relu(x₁) - 2·relu(x₂) + relu(x₃)) at x = (1, 1, -1): guided, only the first pixel remains."""
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(3, 2, bias=False))
    network[2].weight.data = torch.tensor([[0.0, 0.0, 0.0], [3.0, -2.0, 1.0]])
    images = torch.tensor([1.0, 1.0, -1.0]).reshape(1, 1, 1, 3)
    assert attribute(images, network.eval()).flatten().tolist() == [3, 0, 0]
    assert gradient.attribute(images, network).flatten().tolist() == [3, 2, 0]


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


def test_the_check_for_hooks_can_fail(trained, images, untouched, monkeypatch):
    monkeypatch.setattr(GuidedBackprop, "_remove_hooks", lambda self: None)
    with pytest.raises(AssertionError), untouched(trained, images):
        attribute(images, trained)
