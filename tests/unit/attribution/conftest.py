"""Small classifiers in 2D and 3D with unequal axes, and what every method owes to the networks it is lent."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from evidence import machine
from evidence.networks.c3d import Classifier

SIZES = {"slice": (24, 32), "volume": (16, 24, 32)}
CHANNELS = {"slice": 1, "volume": 2}


@pytest.fixture
def images_of():
    """kind, count → images, the volumes with two channels."""

    def make(kind: str, count: int = 3) -> torch.Tensor:
        random = torch.Generator().manual_seed(100)
        return torch.randn(count, CHANNELS[kind], *SIZES[kind], generator=random).clamp(-1, 1)

    return make


@pytest.fixture
def classifier_of():
    """kind, head, classes → a network as training leaves it: normalisation is no identity, weights want gradients."""

    def make(kind: str, head: str = "dense", classes: int = 2) -> Classifier:
        with torch.random.fork_rng():
            torch.manual_seed(1)
            network = Classifier(
                size=SIZES[kind], head=head, width=4, hidden=16, channels=CHANNELS[kind], classes=classes
            )
            for module in network.modules():
                if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                    module.running_mean.normal_(0, 0.1)
                    module.running_var.uniform_(0.5, 1.5)
                    nn.init.uniform_(module.weight, 0.8, 1.2)
                    nn.init.normal_(module.bias, 0, 0.1)
        return network.train()

    return make


@pytest.fixture(params=SIZES)
def kind(request) -> str:
    return request.param


@pytest.fixture
def images(kind, images_of) -> torch.Tensor:
    return images_of(kind)


@pytest.fixture
def trained(kind, classifier_of) -> Classifier:
    """A dense classifier as nobody has touched it."""
    return classifier_of(kind)


@pytest.fixture
def classifier(trained) -> Iterator[Classifier]:
    """The dense classifier as a method gets it."""
    with machine.evaluation(trained):
        yield trained


class Refusal(torch.autograd.Function):
    """Passes forward and fails backward."""

    @staticmethod
    def forward(ctx, values):
        return values.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("broken on purpose")


class Broken(nn.Module):
    """A layer that raises in one of the two passes."""

    def __init__(self, where: str):
        super().__init__()
        self.where = where

    def forward(self, values):
        if self.where == "forward":
            raise RuntimeError("broken on purpose")
        return Refusal.apply(values)


@pytest.fixture(params=["forward", "backward"])
def broken(request, trained) -> Classifier:
    """The classifier with an error in the middle of it."""
    trained.trunk.insert(len(trained.trunk) // 2, Broken(request.param))
    return trained


def condition(network: nn.Module, images: torch.Tensor) -> list:
    """All that a method could leave behind on a network and on its input."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        [(module.training, *(len(getattr(module, hook)) for hook in hooks)) for module in network.modules()],
        [(p.requires_grad, p.grad is None, p._backward_hooks) for p in network.parameters()],
        [values.sum().item() for values in network.state_dict().values()],
        [images.requires_grad, images.grad is None, images._backward_hooks, images.sum().item()],
    ]


@pytest.fixture
def untouched():
    """A context that leaves network and images as it found them, with the network lent out as scripts lend it."""

    @contextmanager
    def lend(network: nn.Module, images: torch.Tensor) -> Iterator[None]:
        before = condition(network, images)
        try:
            with machine.evaluation(network):
                lent = condition(network, images)
                try:
                    yield
                finally:
                    assert condition(network, images) == lent
        finally:
            assert condition(network, images) == before

    return lend


@pytest.fixture
def same():
    """Maps agree up to what another order of float32 sums may change, measured by the strongest pixel of each image."""

    def check(maps: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
        assert maps.shape == expected.shape
        largest = expected.flatten(1).abs().amax(1)
        assert (largest > 0).all(), "an empty map agrees with too much"
        difference = (maps.double() - expected.double()).flatten(1).abs().amax(1)
        assert (difference <= tolerance * largest).all(), f"{(difference / largest).max():.2e}"

    return check


@pytest.fixture
def linear():
    """rows → logits W·x without bias."""

    def make(*rows: torch.Tensor) -> nn.Module:
        dense = nn.Linear(rows[0].numel(), len(rows), bias=False)
        dense.weight.data = torch.stack([row.flatten() for row in rows])
        return nn.Sequential(nn.Flatten(), dense).eval().requires_grad_(False)

    return make


class LinearProbability(nn.Module):
    """Logits whose softmax is [½ - w·x, ½ + w·x], exactly linear in the image."""

    def __init__(self, weights: torch.Tensor):
        super().__init__()
        self.weights = weights

    def forward(self, images):
        p = 0.5 + (images * self.weights).flatten(1).sum(1)
        return torch.stack([1 - p, p], 1).log()


@pytest.fixture
def linear_probability():
    return LinearProbability


@pytest.fixture
def undecided(trained) -> Classifier:
    """A classifier whose logits are the same whatever it sees: the image says nothing about any label."""
    trained.head[-2].weight.data.zero_()
    return trained.eval().requires_grad_(False)
