"""The classifiers that the baseline methods explain (Baumgartner et al., CVPR 2018, section 4 and released code)."""

import copy
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from evidence import machine, training
from evidence.errors import BadInput
from evidence.networks.c3d import Classifier

NETWORKS = ("classifier",)


class Learner(training.Learner):
    """Softmax cross-entropy with Adam; the network kept is the one with the lowest validation cross-entropy.

    Args:
        shape: channels and size of an image.
        head: ``dense`` for the classifier of the gradient methods, ``cam`` for the one of class activation maps,
            ``convolution`` for the one of the 3D experiment (with ``widest=256``).
        steps: training steps at most. The authors set no limit and stopped by hand.
        patience: validations without improvement after which training ends; 0 for never.
        least: what counts as an improvement for ``patience``. Where classes can be told apart for certain, the
            cross-entropy falls for ever, by less and less.
        lr: learning rate of Adam. Released: 1e-3; in 3D 1e-4.
        batch: images in a batch, of both classes as they come.
        validate_every: steps between validations.
        classes: number of classes.
        width: channels of the first layer.
        widest: no layer has more channels.
        last_block: whether there is a fifth block; the authors' alternative in 3D has none.
        hidden: units of the dense head's hidden layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        head: Literal["dense", "cam", "convolution"] = "dense",
        steps: int = 10_000,
        patience: int = 20,
        least: float = 0.0,
        lr: float = 1e-3,
        batch: int = 30,
        validate_every: int = 100,
        classes: int = 2,
        width: int = 32,
        widest: int = 512,
        last_block: bool = True,
        hidden: int = 512,
    ):
        if classes < 2:
            raise BadInput(f"a classifier tells two classes or more apart, not {classes}")
        super().__init__()
        channels, *size = shape
        sizes = {"width": width, "widest": widest, "last_block": last_block, "hidden": hidden}
        self.network = Classifier(size=tuple(size), channels=channels, head=head, classes=classes, **sizes)
        self.best = copy.deepcopy(self.network)
        self.register_buffer("best_loss", torch.tensor(float("inf")))
        self.register_buffer("counted_loss", torch.tensor(float("inf"), dtype=torch.float64))
        self.register_buffer("counted_step", torch.tensor(-1))
        self.optimisers = {"classifier": torch.optim.Adam(self.network.parameters(), lr=lr)}
        self.least = least
        self.steps, self.patience, self.batch, self.validate_every = steps, patience, batch, validate_every

    @property
    def networks(self) -> dict[str, Classifier]:
        return {"classifier": self.best}

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> dict[str, Tensor]:
        self.network.train()
        images, labels = next(batches)
        with machine.autocast():
            logits = self.network(images)
        loss = cross_entropy(logits.float(), labels)
        return self.descend("classifier", {"cross_entropy": loss})

    @torch.no_grad()
    def validate(self, samples: training.Samples, i: int) -> dict[str, float]:
        """Mean cross-entropy and accuracy over the validation set; keeps the network if it is the best so far."""
        self.network.eval()
        loss, correct = 0.0, 0.0
        for images, labels in training.in_order(samples, 4 * self.batch):
            logits = self.network(images)
            loss += float(cross_entropy(logits, labels, reduction="sum"))
            correct += float((logits.argmax(1) == labels).sum())
        loss /= len(samples)
        if loss < self.best_loss:
            self.best.load_state_dict(self.network.state_dict())
            self.best_loss.fill_(loss)
        if loss < self.counted_loss - self.least:
            self.counted_loss.fill_(loss)
            self.counted_step.fill_(i)
        return {"cross_entropy": loss, "accuracy": correct / len(samples)}

    def finished(self, i: int) -> bool:
        return bool(self.patience) and i - int(self.counted_step) >= self.patience * self.validate_every
