"""SAGen: one network draws the stable image and the adversary together (Charachon et al., 2020, ICPR).

The original loss could not be read; this one is modelled on SyCE's terms and weights. Released: the network alone.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from evidence import machine
from evidence.augmentation import Augmentation
from evidence.deciding import Interpreter, outcome, parts
from evidence.networks.blocks import Network
from evidence.networks.translators import Twin
from evidence.plateau import Plateau
from evidence.shapes import Images
from evidence.training import Losses, Samples
from evidence.translating import EPSILON, distance

NETWORKS = ("generator", "last")


class Learner(Interpreter):
    """The stable image is to be decided as the image is and to equal it, the adversary to be decided otherwise and to
    equal the stable image.

    Saved networks: ``generator``, that at the lowest validation loss, and ``last``.

    Args:
        shape: channels and size of an image.
        classifier: what decides for a class; it does not learn.
        adversary: weight of the cross-entropy of the adversary, which is to be decided otherwise.
        stable: weight of the cross-entropy of the stable image, which is to be decided alike.
        likeness: weight of the stable image, mean square plus mean absolute difference to the image.
        change: weight of the adversary, the same of its difference to the stable image.
        lr: learning rate of Adam; it falls to 0.3 of it after ``patience`` validations without a better loss, and
            training ends where it would fall below 1e-5.
        batch: images in a batch.
        widths: channels of the generator's levels. Released: 16, 32, 64.
        residual: draw the change of the image, from none on, not the image. Released: no; yes is learnt sooner.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        augment: how far training images are turned, moved and scaled at random: times 10°, 5 % and 10 %.
        horizontal: mirror half of them left to right.
        vertical: mirror half of them upside down.
        most: training images, drawn at random; 0 for all.
        steps: updates at most.
        validate_every: steps between validations.
        validate_most: validation images, drawn at random; 0 for all.
        patience: see ``lr``; 0 for a constant rate and all steps.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classifier: nn.Module,
        *,
        adversary: float = 0.2,
        stable: float = 0.2,
        likeness: float = 10.0,
        change: float = 2.0,
        lr: float = 1e-4,
        batch: int = 16,
        widths: tuple[int, ...] = (16, 32, 64, 128, 256),
        residual: bool = False,
        low: float = 0.0,
        high: float = 1.0,
        augment: float = 1.0,
        horizontal: bool = True,
        vertical: bool = True,
        most: int = 10_000,
        steps: int = 9_400,
        validate_every: int = 156,
        validate_most: int = 5_000,
        patience: int = 4,
    ):
        super().__init__(classifier, most, validate_most)
        channels, *size = shape
        self.last = Twin(
            channels=channels, widths=tuple(widths), spatial_dims=len(size), residual=residual, low=low, high=high
        )
        self.best, self.plateau = copy.deepcopy(self.last), Plateau(patience)
        self.optimisers = {"generator": torch.optim.Adam(self.last.parameters(), lr=lr, eps=EPSILON)}
        self.adversary, self.stable, self.likeness, self.change = adversary, stable, likeness, change
        self.augmentation = Augmentation.usual(augment, horizontal=horizontal, vertical=vertical, low=low, high=high)
        self.batch, self.steps, self.validate_every = batch, steps, validate_every

    @property
    def networks(self) -> dict[str, Network]:
        return {"generator": self.best, "last": self.last}

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        images, _ = next(batches)
        return self.descend("generator", self.terms(self.augmentation(images)))

    def terms(self, images: Images) -> Losses:
        """The weighted terms of the loss, over images of both decisions."""
        decided = self.decisions.of(images)
        with machine.autocast():
            stable, adversary = self.last(images)
        return {
            "adversary": self.adversary * cross_entropy(self.decisions.log_odds(adversary), 1 - decided),
            "stable": self.stable * cross_entropy(self.decisions.log_odds(stable), decided),
            "likeness": self.likeness * distance(images, stable),
            "change": self.change * distance(stable, adversary),
        }

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """The loss, by which the best network is kept, and how adversaries and stable images turn out."""
        self.last.eval()
        pool = self.validated(samples)
        totals: dict[str, float] = {}
        for part in parts(np.arange(len(pool))):
            images = pool.take(part)
            found = {"loss": float(sum(self.terms(images).values())) * len(part)}
            for key, values in outcome(self.decisions, images, *self.last(images)).items():
                found[key] = float(values.sum())
            totals = {key: totals.get(key, 0.0) + value / len(pool) for key, value in found.items()}
        self.last.train()
        if self.plateau.improved(totals["loss"], self.optimisers.values()):
            self.best.load_state_dict(self.last.state_dict())
        return totals

    def finished(self, i: int) -> bool:
        return bool(self.plateau.finished)
