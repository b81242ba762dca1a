"""The C3D family against the layer tables of the released code: parameters, sizes, receptive fields, heads."""

import math

import pytest
import torch
from torch import nn

from evidence.errors import BadInput
from evidence.networks.c3d import HEADS, Classifier, Critic, class_activation
from evidence.networks.lean import MaxPool
from evidence.networks.relu import ReLU

BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTION = (nn.Conv2d, nn.Conv3d)
VOLUME = (128, 160, 112)
SPACES = {2: (112, 112), 3: VOLUME}


def on_meta(network, **options):
    """A network without numbers: sizes cost nothing."""
    with torch.device("meta"):
        return network(**options)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def sizes(network, images, kinds):
    """Channels and size after each layer of some kinds."""
    found = []
    for layer in network.modules():
        if isinstance(layer, kinds):
            layer.register_forward_hook(lambda layer, given, made: found.append(tuple(made.shape[1:])))
    with torch.no_grad():
        network(images)
    return found


@pytest.fixture
def made():
    """A network whose numbers are a function of its words, its normalisation no identity."""

    def make(network, **options):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = network(**options)
            for layer in network.modules():
                if isinstance(layer, BATCH_NORM):
                    layer.running_mean.normal_(0, 0.1)
                    layer.running_var.uniform_(0.5, 1.5)
                    nn.init.uniform_(layer.weight, 0.8, 1.2)
                    nn.init.normal_(layer.bias, 0, 0.1)
        return network.eval()

    return make


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(2))


# --- the critic -------------------------------------------------------------------------------------------------------

CRITIC = {
    2: [160, 4_640, 18_496, 36_928, 73_856, 147_584, 295_168, 590_080, 590_080, 257],
    3: [448, 13_856, 55_360, 110_656, 221_312, 442_496, 884_992, 1_769_728, 1_769_728, 257],
}


@pytest.mark.parametrize(("dims", "total"), [(2, 1_757_249), (3, 5_268_833)])
def test_the_critic_has_the_parameters_of_the_release(dims, total):
    critic = on_meta(Critic, spatial_dims=dims)
    assert [parameters(layer) for layer in critic.layers if isinstance(layer, CONVOLUTION)] == CRITIC[dims]
    assert parameters(critic) == total


@pytest.mark.parametrize("dims", [2, 3])
def test_the_critic_has_the_sizes_of_the_release(dims):
    blocks = [(16,), (32,), (64, 64), (128, 128), (256, 256, 256, 1)]
    expected = []
    for halvings, block in enumerate(blocks):
        space = tuple(s // 2**halvings for s in SPACES[dims])
        if expected:
            expected.append((expected[-1][0], *space))  # a pool
        expected += [(channels, *space) for channels in block]
    images = torch.empty(1, 1, *SPACES[dims], device="meta")
    assert sizes(on_meta(Critic, spatial_dims=dims), images, (*CONVOLUTION, MaxPool)) == expected


def test_the_critic_is_plain():
    """No normalisation, a bias everywhere, ReLU after all convolutions but the last."""
    layers = list(Critic(width=2).layers)
    kinds = [type(layer) for layer in layers if not isinstance(layer, MaxPool)]
    assert kinds == [nn.Conv2d, ReLU] * 9 + [nn.Conv2d]
    for layer in layers:
        assert not isinstance(layer, nn.Conv2d) or (layer.bias is not None and not layer.bias.any())


@pytest.mark.parametrize("size", [(16, 32), (112, 96), (17, 30), (16, 24, 32), (9, 16, 11)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_critic_gives_an_image_a_number_the_mean_of_its_map(made, size, channels):
    critic = made(Critic, channels=channels, width=2, spatial_dims=len(size))
    images = noise(3, channels, *size)
    scores = critic.layers(images)
    assert scores.shape == (3, 1, *(math.ceil(s / 16) for s in size))
    values = critic(images)
    assert values.shape == (3,)
    for image, value in zip(images, values, strict=True):  # and no image sees another
        torch.testing.assert_close(critic.layers(image[None]).mean(), value, rtol=1e-4, atol=1e-5)
    assert len(set(values.tolist())) == 3


def by_autograd(critic, images):
    """The gradient of each image's score, with a graph through everything."""
    images = images.clone().requires_grad_(True)
    return torch.autograd.grad(critic(images).sum(), images, create_graph=True)[0]


def ordinary(critic):
    """The same critic as the paper draws it: ReLU after each convolution, then torch's pools; nothing in place."""
    layers, pool = [], {4: nn.MaxPool2d, 5: nn.MaxPool3d}
    for layer in critic.layers:
        if isinstance(layer, nn.ReLU):
            at = -1 if isinstance(layers[-1], tuple(pool.values())) else len(layers)
            layers.insert(at, nn.ReLU())
        elif isinstance(layer, MaxPool):
            layers.append(pool[critic.layers[0].weight.dim()](2, ceil_mode=True))
        else:
            layers.append(layer)
    plain = nn.Sequential(*layers)
    return lambda images: plain(images).flatten(1).mean(1)


@pytest.mark.parametrize("size", [(16, 32), (48, 40), (17, 30), (16, 24, 32), (9, 16, 11)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_slope_is_the_gradient_of_an_ordinary_critic_and_differentiates_like_it(made, size, channels):
    critic = made(Critic, channels=channels, width=2, spatial_dims=len(size)).double()
    images = noise(3, channels, *size).double()
    plain = ordinary(critic)
    torch.testing.assert_close(critic(images), plain(images), rtol=0, atol=0)
    found = []
    for slope in (critic.slope(images), by_autograd(plain, images)):
        penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        found.append((slope, *torch.autograd.grad(penalty, list(critic.parameters()), allow_unused=True)))
    for ours, theirs in zip(*found, strict=True):
        if ours is None:  # biases, which autograd finds to be zeros or none
            assert theirs is None or not theirs.any()
        else:
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12 * float(theirs.detach().abs().max()))
    assert found[0][0].abs().max() > 0


def test_the_slope_needs_no_graph_through_the_images(made):
    critic = made(Critic, width=2)
    with torch.no_grad():
        assert critic.slope(noise(2, 1, 16, 16)).abs().max() > 0
    images = noise(2, 1, 16, 16).requires_grad_(True)
    (penalty,) = torch.autograd.grad(critic.slope(images).square().sum(), images, allow_unused=True)
    assert penalty is None


@pytest.mark.parametrize("size", [(64, 64), (48, 64, 48)])
def test_the_gradient_of_a_penalty_survives_bfloat16(made, size):
    """Pixels of a slope are off by several percent in bfloat16, where a gate tips; norms and what follows are not."""
    critic = made(Critic, width=8, spatial_dims=len(size))
    images = noise(8, 1, *size)
    found = []
    for reduced in (True, False):
        with torch.autocast("cpu", torch.bfloat16, enabled=reduced):
            slope = critic.slope(images).float()
        norm = slope.flatten(1).norm(dim=1)
        penalty = (norm - 1).square().mean()
        gradients = torch.autograd.grad(penalty, [p for p in critic.parameters() if p.dim() > 1])
        found.append((norm.detach(), torch.cat([g.flatten() for g in gradients])))
    (norm, gradient), (exact_norm, exact_gradient) = found
    torch.testing.assert_close(norm, exact_norm, rtol=0.05, atol=0)
    assert (gradient - exact_gradient).norm() < 0.1 * exact_gradient.norm()


# --- classifiers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ({"size": (112, 112)}, 19_874_788),
        ({"size": (112, 112), "head": "cam"}, 7_028_704),
        ({"size": VOLUME, "head": "convolution", "widest": 256}, 8_686_116),
        ({"size": VOLUME, "last_block": False}, 76_778_020),
    ],
    ids=["normal", "CAM", "ADNI, fully convolutional", "ADNI, C3D"],
)
def test_classifiers_have_the_parameters_of_the_release(options, total):
    assert parameters(on_meta(Classifier, **options)) == total


def test_the_dense_layers_have_those_of_the_release():
    network = on_meta(Classifier, size=(112, 112))
    assert parameters(network.trunk) == 7_027_680
    assert parameters(network.head) == 12_847_108
    assert on_meta(Classifier, size=VOLUME, last_block=False).head[1].in_features == 143_360


@pytest.mark.parametrize(
    ("options", "pooled"),
    [
        ({"size": (112, 112)}, 4),
        ({"size": (112, 112), "head": "cam"}, 2),
        ({"size": VOLUME, "head": "convolution", "widest": 256}, 4),
    ],
    ids=["normal", "CAM", "ADNI"],
)
def test_classifiers_have_the_sizes_of_the_release(options, pooled):
    """Twice as wide as the critic, no pool behind the last block, and two pools less for CAM."""
    expected = []
    for number, block in enumerate([(32,), (64,), (128,) * 2, (256,) * 2, (512,) * 3]):
        space = tuple(s // 2 ** min(number, pooled) for s in options["size"])
        expected += [(min(channels, options.get("widest", 512)), *space) for channels in block]
    network = on_meta(Classifier, **options)
    images = torch.empty(2, 1, *options["size"], device="meta")
    assert sizes(network.trunk, images, CONVOLUTION) == expected


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("size", [(16, 24), (16, 24, 32)])
def test_a_classifier_has_no_bias_and_is_normalised_to_the_logits(made, head, size):
    network = made(Classifier, size=size, head=head, width=2, hidden=3)
    weighted = [layer for layer in network.modules() if isinstance(layer, (*CONVOLUTION, nn.Linear))]
    normal = [layer for layer in network.modules() if isinstance(layer, BATCH_NORM)]
    assert all(layer.bias is None for layer in weighted)
    assert len(normal) == len(weighted) - (head == "cam"), "only the dense layer of CAM is not normalised"
    assert all((layer.eps, layer.momentum) == (1e-3, 0.01) for layer in normal)


@pytest.mark.parametrize("head", ["dense", "convolution"])
def test_the_logits_themselves_are_normalised(made, head):
    """Whatever the images, the logits of a batch have mean zero while training."""
    network = made(Classifier, size=(32, 48), head=head, width=2, hidden=3).train()
    for layer in network.modules():
        if isinstance(layer, BATCH_NORM):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
    logits = network(noise(8, 1, 32, 48) + 3)
    torch.testing.assert_close(logits.mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    assert (logits.std(0) > 0.1).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("size", "channels", "classes"),
    [((16, 32), 1, 2), ((112, 96), 3, 5), ((17, 30), 1, 2), ((16, 24, 32), 2, 3), ((9, 16, 11), 1, 2)],
)
def test_a_classifier_gives_an_image_a_logit_for_each_class(made, head, size, channels, classes):
    network = made(Classifier, size=size, head=head, channels=channels, classes=classes, width=2, hidden=3)
    images = noise(3, channels, *size)
    logits = network(images)
    assert logits.shape == (3, classes)
    torch.testing.assert_close(network(images[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)


def test_a_dense_classifier_is_made_for_one_size_and_the_others_for_any(made):
    for head in ("cam", "convolution"):
        assert made(Classifier, size=(16, 32), head=head, width=2)(noise(1, 1, 48, 80)).shape == (1, 2)
    with pytest.raises(RuntimeError):
        made(Classifier, size=(16, 32), width=2, hidden=3)(noise(1, 1, 48, 80))


def test_a_head_that_does_not_exist_is_refused():
    with pytest.raises(KeyError, match="dens"):
        Classifier(size=(16, 32), head="dens")


# --- receptive fields -------------------------------------------------------------------------------------------------


def seen(layers, size, unit):
    """First and last pixel along each axis that a unit depends on, and how many units there are along each axis.

    With positive weights every ReLU is linear; with means for maxima all pixels of a pool have their part.
    """
    linear = []
    for layer in layers.modules():
        if isinstance(layer, CONVOLUTION):
            nn.init.constant_(layer.weight, 1 / layer.weight[0].numel())
            linear.append(layer)
        elif isinstance(layer, (*BATCH_NORM, nn.ReLU)):
            linear.append(layer)
        elif isinstance(layer, MaxPool):
            linear.append((nn.AvgPool2d if len(size) == 2 else nn.AvgPool3d)(2, ceil_mode=True))
    images = torch.ones(1, 1, *size, dtype=torch.float64, requires_grad=True)
    scores = nn.Sequential(*linear).double().eval()(images)
    scores[(0, 0, *unit)].backward()
    pixels = images.grad[0, 0].nonzero()
    return list(zip(pixels.amin(0).tolist(), pixels.amax(0).tolist(), strict=True)), tuple(scores.shape[2:])


@pytest.mark.parametrize(
    ("layers", "field", "stride"),
    [
        (lambda dims: Critic(width=1, spatial_dims=dims).layers, 166, 16),
        (lambda dims: Classifier(size=(64,) * dims, width=1, head="cam").trunk, 66, 4),
    ],
    ids=["critic", "CAM"],
)
@pytest.mark.parametrize("size", [(208, 272), (16, 32, 208)])
def test_receptive_fields(layers, field, stride, size):
    """166 pixels every 16 for the critic, 66 every 4 for a feature of CAM; cut where the image ends."""
    _, there = seen(layers(len(size)), size, (0,) * len(size))
    middle = tuple(cells // 2 for cells in there)
    beside = tuple(cell - 1 for cell in middle)
    spans, _ = seen(layers(len(size)), size, middle)
    before, _ = seen(layers(len(size)), size, beside)
    for (first, last), (earlier, _), length in zip(spans, before, size, strict=True):
        if length > field + 2 * stride:
            assert last - first + 1 == field
            assert first - earlier == stride
        else:
            assert (first, last) == (0, length - 1)


# --- class activation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(24, 32), (21, 30), (16, 24, 32)])
def test_the_mean_of_a_class_activation_is_the_logit(made, size):
    network = made(Classifier, size=size, head="cam", classes=3, width=2)
    images = noise(2, 1, *size)
    logits = network(images)
    for label in range(3):
        scores = class_activation(network, images, label)
        assert scores.shape == (2, 1, *(math.ceil(s / 4) for s in size))
        torch.testing.assert_close(scores.flatten(1).mean(1), logits[:, label], rtol=1e-4, atol=1e-5)


def test_a_class_activation_is_the_weighted_sum_of_features(made):
    network = made(Classifier, size=(24, 32), head="cam", width=2)
    images = noise(2, 1, 24, 32)
    features = network.trunk(images)
    expected = sum(network.head.dense.weight[1, k] * features[:, k] for k in range(features.shape[1]))
    found = class_activation(network, images, 1)
    assert not found.requires_grad
    torch.testing.assert_close(found[:, 0], expected.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["dense", "convolution"])
def test_other_heads_have_no_class_activation(made, head):
    network = made(Classifier, size=(16, 32), head=head, width=2, hidden=3)
    with pytest.raises(BadInput, match="head='cam'"):
        class_activation(network, noise(1, 1, 16, 32), 1)
