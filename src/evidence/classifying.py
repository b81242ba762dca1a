"""How classifiers are trained: what the learners that end in a class have in common; their modules say what differs."""

import copy
import os
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from evidence import machine, training
from evidence.errors import BadInput
from evidence.networks.blocks import Network
from evidence.plateau import Plateau
from evidence.shapes import Images, Labels, Logits, Values


class Classification(training.Learner):
    """Cross-entropy with Adam. Saved network: ``classifier``, that of the lowest validation loss.

    Args:
        network: what learns, but for weights that want no gradient.
        plateau: what happens when the validation loss no longer falls.
        augmentation: what happens to training images.
        loss: the cross-entropy is that of the network's ``logits``, or of its ``probabilities``, taken for logits.
        balanced: each class weighs n / (classes · its number of images), all of them alike; else every image weighs 1.
    """

    def __init__(
        self,
        network: Network,
        *,
        lr: float,
        batch: int,
        steps: int,
        validate_every: int,
        plateau: Plateau,
        betas: tuple[float, float] = (0.9, 0.999),
        augmentation: Callable[[Images], Images] | None = None,
        loss: Literal["logits", "probabilities"] = "logits",
        balanced: bool = False,
        classes: int = 2,
    ):
        super().__init__()
        self.network, self.best, self.plateau = network, copy.deepcopy(network), plateau
        self.register_buffer("weights", torch.ones(classes))
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimisers = {"classifier": torch.optim.Adam(learning, lr=lr, betas=betas)}
        self.augmentation, self.of, self.balanced = augmentation, loss, balanced
        self.batch, self.steps, self.validate_every = batch, steps, validate_every

    @property
    def networks(self) -> dict[str, Network]:
        return {"classifier": self.best}

    def pool(self, samples: training.Samples) -> training.Samples:
        """The samples as they are; how many there are of each class says how much one of it weighs."""
        if self.balanced:
            counts = torch.bincount(torch.from_numpy(samples.labels), minlength=len(self.weights))
            self.weights.copy_(counts.sum() / (len(counts) * counts))
        return samples

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> training.Losses:
        self.network.train()
        images, labels = next(batches)
        with machine.autocast():
            logits = self.network(self.augmentation(images) if self.augmentation else images)
        return self.descend("classifier", {"cross_entropy": self.loss(logits, labels)})

    def losses(self, logits: Logits, labels: Labels) -> Values:
        """Each image's cross-entropy times its class's weight."""
        scores = logits.float()
        if self.of == "probabilities":
            scores = scores.softmax(1)
        return cross_entropy(scores, labels, self.weights.float(), reduction="none")

    def loss(self, logits: Logits, labels: Labels) -> Tensor:
        """The mean over a batch, whatever the weights in it add up to."""
        return self.losses(logits, labels).mean()

    @torch.no_grad()
    def validate(self, samples: training.Samples, i: int) -> dict[str, float]:
        """Mean loss and accuracy over the validation set; keeps the network if it is the best so far."""
        self.network.eval()
        loss, correct = 0.0, 0.0
        for images, labels in training.in_order(samples, self.batch):
            logits = self.network(images)
            loss += float(self.losses(logits, labels).sum()) / len(samples)
            correct += float((logits.argmax(1) == labels).sum()) / len(samples)
        if self.plateau.improved(loss, self.optimisers.values()):
            self.best.load_state_dict(self.network.state_dict())
        return {"cross_entropy": loss, "accuracy": correct}

    def finished(self, i: int) -> bool:
        return bool(self.plateau.finished)


def adopt(network: Network, variable: str, name: str) -> None:
    """Give a network ImageNet weights, from the file that a variable of the environment names."""
    path = os.environ.get(variable)
    if not path:
        raise BadInput(
            f"pretrained: set {variable} to a safetensors file of {name}'s ImageNet weights under torchvision's names, "
            "or pretrained: false"
        )
    try:
        network.adopt(load_file(path))
    except FileNotFoundError:
        raise BadInput(f"{variable} points to {path}, which is not there") from None
    except Exception as error:  # whatever the file is, the answer is the same
        reason = str(error).strip().splitlines()
        raise BadInput(
            f"{variable}: {path} does not hold the weights of this network ({reason[-1].strip()})"
        ) from error
