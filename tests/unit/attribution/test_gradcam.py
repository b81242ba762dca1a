"""Grad-CAM against class activation maps, which it generalises, and against its definition."""

import pytest
import torch
from torch.nn.functional import interpolate

from evidence.attribution.gradcam import attribute
from evidence.errors import BadInput
from evidence.networks.c3d import class_activation
from evidence.networks.log_odds import LogOdds
from evidence.networks.simple_cnn import SimpleCNN
from evidence.networks.vgg import VGG


@pytest.fixture(params=["slice", "volume"])
def kind(request):
    return request.param


def enlarged(cells, images):
    mode = "bilinear" if images.dim() == 4 else "trilinear"
    return interpolate(cells, images.shape[2:], mode=mode, align_corners=False)


def halted(network, images):
    """The outputs of the last stage, to take gradients by, and the logits that follow from them."""
    features = images
    for layer in network.trunk:
        features = layer(features)
        if layer is network.last_stage:
            kept = features = features.detach().requires_grad_()
    return kept, network.head(features)


def test_behind_a_global_average_it_is_the_class_activation_map(kind, classifier_of, images_of):
    """The gradient of the log-odds by a cell is the difference of the two classes' weights over the number of cells."""
    network, images = classifier_of(kind, head="cam").eval(), images_of(kind)
    difference = class_activation(network, images, 1) - class_activation(network, images, 0)
    sign = LogOdds(network, 1)(images).sign().view(-1, *(1,) * (images.dim() - 1))
    cells = (sign * difference / difference[0].numel()).clamp(min=0)
    torch.testing.assert_close(attribute(images, network), enlarged(cells, images), rtol=1e-4, atol=1e-6)


def test_it_is_the_features_weighted_by_their_mean_gradient(kind, classifier_of, images_of):
    network, images = classifier_of(kind).eval(), images_of(kind)
    kept, logits = halted(network, images)
    decided = logits.argmax(1)
    odds = logits.gather(1, decided[:, None]).sum() - logits.gather(1, 1 - decided[:, None]).sum()
    (slope,) = torch.autograd.grad(odds, kept)
    weights = slope.flatten(2).mean(2).view(*slope.shape[:2], *(1,) * (images.dim() - 2))
    cells = (weights * kept).sum(1, keepdim=True).clamp(min=0).detach()
    torch.testing.assert_close(attribute(images, network), enlarged(cells, images), rtol=1e-4, atol=1e-6)


def test_as_released_by_medxgan_weights_are_added(kind, classifier_of, images_of):
    """From the softmax of the decided class; of a certain classifier nothing is left but the mean activation."""
    network, images = classifier_of(kind).eval(), images_of(kind)
    kept, logits = halted(network, images)
    (slope,) = torch.autograd.grad(logits.softmax(1).max(1).values.sum(), kept)
    weights = slope.flatten(2).mean(2).view(*slope.shape[:2], *(1,) * (images.dim() - 2))
    cells = torch.stack([(weights + kept)[:, k] for k in range(kept.shape[1])]).mean(0)[:, None].clamp(min=0).detach()
    found = attribute(images, network, weights="added")
    torch.testing.assert_close(found, enlarged(cells, images), rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        network.head[-1].weight.mul_(1e4)
    mean = kept.mean(1, keepdim=True).clamp(min=0).detach()
    found = attribute(images, network, weights="added")
    torch.testing.assert_close(found, enlarged(mean, images), rtol=1e-3, atol=1e-4)


def test_medxgans_small_classifier_against_loops_over_channels_and_places():
    """One dense layer is behind its last stage, whose weights are the gradients of the logits."""
    torch.manual_seed(2)
    network = SimpleCNN(size=(33, 49), channels=2, widths=(4, 5, 3)).eval()
    images = torch.rand(6, 2, 33, 49) * 2 - 1
    with torch.no_grad():
        logits, features = network(images), network.trunk(images)
        network.head.bias[1] += (logits[:, 0] - logits[:, 1]).mean()  # so that both classes are decided for
        decided = network(images).argmax(1).tolist()
        rows, columns = features.shape[2:]
        dense = network.head.weight.view(2, 3, rows, columns)
        expected = torch.zeros(6, 1, rows, columns)
        for n, c in enumerate(decided):
            for k in range(3):
                slopes = [float(dense[c, k, i, j] - dense[1 - c, k, i, j]) for i in range(rows) for j in range(columns)]
                for i in range(rows):
                    for j in range(columns):
                        expected[n, 0, i, j] += sum(slopes) / len(slopes) * features[n, k, i, j]
    assert set(decided) == {0, 1}
    expected = expected.clamp(min=0)
    assert (expected > 0).any()
    torch.testing.assert_close(attribute(images, network), enlarged(expected, images), rtol=1e-4, atol=1e-6)


def test_medxgans_vgg_against_gradients_by_its_last_activations():
    torch.manual_seed(2)
    network = VGG(channels=2, width=2, hidden=6, head=(5,), pool=2).double().eval()
    images = torch.rand(4, 2, 48, 64, dtype=torch.float64) * 2 - 1
    kept = network.features[:-1](images).detach().requires_grad_()
    logits = network.head(network.classifier(network.average(network.features[-1](kept)).flatten(1)))
    expected = torch.zeros(4, 1, 3, 4, dtype=torch.float64)
    for n in range(4):
        c = int(logits[n].argmax())
        (slope,) = torch.autograd.grad(logits[n, c] - logits[n, 1 - c], kept, retain_graph=True)
        for k in range(16):
            expected[n, 0] += slope[n, k].mean() * kept[n, k].detach()
    expected = expected.clamp(min=0)
    assert (expected > 0).any()
    torch.testing.assert_close(attribute(images, network), enlarged(expected, images))


def test_the_other_class_is_explained_where_it_is_decided_for(classifier_of, images_of):
    """Swapping the two classes' logits changes the decision, not what it rests on."""
    network, images = classifier_of("slice", head="cam").eval(), images_of("slice")
    before = attribute(images, network)
    network.head.dense.weight.data = network.head.dense.weight.data.flip(0)
    torch.testing.assert_close(attribute(images, network), before)


def test_a_network_without_stages_is_refused(images_of):
    with pytest.raises(BadInput, match="a Flatten does not say which is its last stage"):
        attribute(images_of("slice"), torch.nn.Flatten())
