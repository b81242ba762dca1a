"""The perturber of AOPC and R: a translator between the classifier's decisions, after Fixed-Point GAN.

Siddiquee et al. (2019) train a translator that leaves an image of its target class as it is. Charachon et al. (2021,
section 4.4) replace pixels by those of such a translation, made by a network that takes no part in what is judged.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import l1_loss

from evidence import machine
from evidence.augmentation import mirrored
from evidence.deciding import Interpreter, outcome, parts
from evidence.networks.blocks import Network
from evidence.networks.fixed_point import Judge, Translator
from evidence.penalty import gradient_penalty
from evidence.shapes import Images, Labels, Values
from evidence.training import Losses, Samples

NETWORKS = ("perturber", "judge")


class Learner(Interpreter):
    """WGAN-GP with a class: images are translated to the other class and back, and to their own class and again.

    Batches are of images under the classifier's decisions. Saved networks: ``perturber`` and ``judge`` after the last
    step. Defaults are those of the original's training on brains, where it says them.

    Args:
        shape: channels and size of an image.
        classifier: what decides for a class; it does not learn.
        cycle: weight of the mean absolute difference between an image and what came back.
        label: weight of the cross-entropy of the judge's class.
        likeness: weight of the mean absolute difference between an image and its translation to its own class.
            Original: 0.1 on brains, 10 on faces.
        decision: weight of the classifier's cross-entropy on translations. Original: 0; 0.2 where too few flip.
        penalty: weight of the gradient penalty.
        lr: learning rate of both Adam optimisers; from half of the steps on it falls in a straight line to 0.
        batch: images in a batch.
        judge_steps: updates of the judge before one of the translator.
        width: channels of the first layer of both networks.
        blocks: residual blocks in the middle of the translator.
        depth: how often the judge halves the image.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        mirror: mirror half of the training images left to right.
        most: training images, drawn at random; 0 for all.
        steps: updates of the translator.
        validate_every: steps between validations.
        validate_most: validation images, drawn at random; 0 for all.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        classifier: nn.Module,
        *,
        cycle: float = 10.0,
        label: float = 1.0,
        likeness: float = 0.1,
        decision: float = 0.0,
        penalty: float = 10.0,
        lr: float = 1e-4,
        batch: int = 8,
        judge_steps: int = 5,
        width: int = 64,
        blocks: int = 6,
        depth: int = 6,
        low: float = 0.0,
        high: float = 1.0,
        mirror: bool = True,
        most: int = 0,
        steps: int = 20_000,
        validate_every: int = 1_000,
        validate_most: int = 1_000,
    ):
        super().__init__(classifier, most, validate_most)
        channels, *size = shape
        sizes = {"channels": channels, "width": width}
        self.perturber = Translator(**sizes, blocks=blocks, spatial_dims=len(size), low=low, high=high)
        self.judge = Judge(**sizes, size=tuple(size), depth=depth)
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999))
            for name, network in self.networks.items()
        }
        self.cycle, self.label, self.likeness = cycle, label, likeness
        self.decision, self.penalty = decision, penalty
        self.lr, self.batch, self.judge_steps, self.mirror = lr, batch, judge_steps, mirror
        self.steps, self.validate_every = steps, validate_every

    @property
    def networks(self) -> dict[str, Network]:
        return {"perturber": self.perturber, "judge": self.judge}

    def draws(self, i: int) -> int:
        return self.judge_steps + 1

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        for optimiser in self.optimisers.values():
            optimiser.param_groups[0]["lr"] = self.lr * min(1.0, 2 * (1 - i / self.steps))
        self.judge.requires_grad_(True)
        for _ in range(self.judge_steps):
            judged = self.descend("judge", self.judge_terms(*self.moved(*next(batches))))
        self.judge.requires_grad_(False)
        return {**judged, **self.descend("perturber", self.perturber_terms(*self.moved(*next(batches))))}

    def moved(self, images: Images, labels: Labels) -> tuple[Images, Labels]:
        return mirrored(images, horizontal=self.mirror, vertical=False), labels

    def translated(self, images: Images, labels: Labels) -> Images:
        with machine.autocast():
            return self.perturber(images, labels)

    def judged(self, images: Images) -> tuple[Values, Values]:
        with machine.autocast():
            real, label = self.judge(images)
        return real.to(images.dtype), label.to(images.dtype)

    def judge_terms(self, images: Images, labels: Labels) -> Losses:
        """Real high, translations to the other class low, the class of real images, the gradient penalty between."""
        with torch.no_grad():
            others = self.translated(images, 1 - labels)
        real, label = self.judged(images)
        return {
            "judge_real": -real.mean(),
            "judge_translated": self.judged(others)[0].mean(),
            "judge_label": self.label * cross_entropy(label, labels.to(label)),
            "weighted_penalty": self.penalty * gradient_penalty(lambda mixed: self.judged(mixed)[0], images, others),
        }

    def perturber_terms(self, images: Images, labels: Labels) -> Losses:
        """To the other class and back; to its own class and again, which is to leave it as it is: the fixed point."""
        other, same = self.translated(images, 1 - labels), self.translated(images, labels)
        (other_real, other_label), (same_real, same_label) = self.judged(other), self.judged(same)
        terms = {
            "other_real": -other_real.mean(),
            "other_label": self.label * cross_entropy(other_label, (1 - labels).to(other_label)),
            "other_cycle": self.cycle * l1_loss(self.translated(other, labels), images),
            "same_real": -same_real.mean(),
            "same_label": self.label * cross_entropy(same_label, labels.to(same_label)),
            "same_cycle": self.cycle * l1_loss(self.translated(same, labels), images),
            "likeness": self.likeness * l1_loss(same, images),
        }
        if self.decision:
            decided = self.decisions.log_odds(other)
            terms["decision"] = self.decision * cross_entropy(decided, (1 - labels).to(decided))
        return terms

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """``flip``: share of translations to the other class that the classifier decides so; at least 0.9 is asked of
        it. ``stable``: share of those to the own class that it still decides so. ``change`` and ``residue``: how far
        the two are from the image, mean absolute differences."""
        pool = self.validated(samples)
        totals: dict[str, float] = {}
        for part in parts(np.arange(len(pool))):
            images, labels = pool.labelled(part)
            other, same = (self.perturber(images, target) for target in (1 - labels, labels))
            for key, values in outcome(self.decisions, images, same, other).items():
                totals[key] = totals.get(key, 0.0) + float(values.sum()) / len(pool)
        return totals
