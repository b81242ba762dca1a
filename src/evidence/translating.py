"""How CyCE and SyCE are trained: two generators between the decisions of a classifier, two discriminators against them.

Facts are those of the authors' released code (arXiv 2106.10947, its configurations for digits), on which Charachon et
al. (2021) build. There no term compares an image with its adversary: they are close because the way back (CyCE), or the
second way forth (SyCE), has to lead to the image again. That takes thousands of steps; ``proximity`` may help out.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from evidence import machine
from evidence.augmentation import Augmentation
from evidence.deciding import Interpreter, outcome, parts
from evidence.networks.blocks import Network
from evidence.networks.translators import Discriminator, Pair
from evidence.penalty import gradient_penalty
from evidence.plateau import Plateau
from evidence.shapes import Images, Values
from evidence.training import Losses, Samples, added, move_average

EPSILON = 1e-7  # of Adam in Keras
TENTH = 0.1  # of its weight that proximity has at first, where it grows


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Of the terms of a generator's loss, and of the discriminators' gradient penalty; and when they are whole.

    Adversaries have to be found before they can be near, and to be near before a second way forth can lead back to
    where evidence was; asked for at once, none are found, or far ones.

    Args:
        near_by: share of the steps after which proximity is whole.
        stable_from, stable_by: shares between which the terms of the stable image grow from nothing to all they weigh.
    """

    adversary: float
    gan: float
    cycle: float
    cycle_class: float
    penalty: float
    proximity: float
    near_by: float
    symmetric: float = 0.0
    symmetric_class: float = 0.0
    stable_from: float = 0.0
    stable_by: float = 0.0

    def at(self, share: float) -> "Weights":
        """What they are when such a share of the steps is over."""
        near = TENTH + (1 - TENTH) * grown(share, 0.0, self.near_by)
        stable = grown(share, self.stable_from, self.stable_by)
        return replace(
            self,
            proximity=near * self.proximity,
            symmetric=stable * self.symmetric,
            symmetric_class=stable * self.symmetric_class,
        )


def grown(share: float, start: float, end: float) -> float:
    """0 until ``start``, 1 from ``end`` on, and on a straight line between."""
    return 1.0 if share >= end else max(0.0, share - start) / (end - start)


class Translation(Interpreter):
    """CyCE's training, or SyCE's where the generators are ``symmetric``; their modules explain the hyperparameters.

    Batches are of images that the classifier decides to be of class 0, and of class 1. Saved networks: ``generator``,
    the pair at the lowest validation loss, and ``last``. With an ``average``, both are moving averages.
    """

    by_class = True

    def __init__(
        self,
        shape: tuple[int, ...],
        classifier: nn.Module,
        *,
        symmetric: bool,
        together: bool,
        weights: Weights,
        augmentation: Augmentation,
        widths: tuple[int, ...],
        judge_widths: tuple[int, ...],
        residual: bool,
        lr: float,
        batch: int,
        average: float,
        patience: int,
        most: int,
        steps: int,
        validate_every: int,
        validate_most: int,
    ):
        super().__init__(classifier, most, validate_most)
        channels, *size = shape
        self.last = Pair(
            symmetric=symmetric,
            channels=channels,
            widths=tuple(widths),
            spatial_dims=len(size),
            residual=residual,
            low=augmentation.low,
            high=augmentation.high,
        )
        self.discriminators = nn.ModuleList(
            Discriminator(size=tuple(size), channels=channels, widths=tuple(judge_widths)) for _ in range(2)
        )
        self.average = copy.deepcopy(self.last).requires_grad_(False) if average else None
        self.best, self.plateau = copy.deepcopy(self.last), Plateau(patience)
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=lr, eps=EPSILON)
            for name, network in (("generators", self.last), ("discriminators", self.discriminators))
        }
        self.together, self.weights, self.augmentation = together, weights, augmentation
        self.batch, self.steps, self.validate_every, self.decay = batch, steps, validate_every, average

    @property
    def shown(self) -> Pair:
        """The generators as they are validated and saved."""
        return self.last if self.average is None else self.average

    @property
    def networks(self) -> dict[str, Network]:
        return {"generator": self.best, "last": self.shown}

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        images = [self.augmentation(each) for each in next(batches)]
        self.discriminators.requires_grad_(False)
        weights = self.weights.at(i / self.steps)

        def terms(c: int) -> Losses:
            return self.generator_terms(self.last, images[c], c, weights)

        if self.together:
            found = [self.descend("generators", terms(0), terms(1))]
        else:
            found = [self.descend("generators", terms(c)) for c in (0, 1)]
        if self.average is not None:  # which soon forgets the first steps
            move_average(self.average, self.last, min(self.decay, (i + 1) / (i + 10)))
        self.discriminators.requires_grad_(True)
        for c in (0, 1):  # each meets what the generators, now better, make
            with torch.no_grad():
                generated = translated(self.last, images[1 - c], 1 - c)
            found.append(self.descend("discriminators", self.discriminator_terms(images[c], generated, c)))
        return added(found)

    def judged(self, images: Images, label: int) -> Values:
        with machine.autocast():
            return self.discriminators[label](images).to(images.dtype)

    def generator_terms(self, pair: Pair, images: Images, c: int, w: Weights) -> Losses:
        """The weighted terms of one direction; ``images`` are of the batch of class c, as drawn."""
        decided = self.decisions.of(images)  # augmentation may have changed what the classifier sees
        adversary = translated(pair, images, c)
        cycled = translated(pair, adversary, 1 - c)
        terms = {
            "adversary": w.adversary * cross_entropy(self.decisions.log_odds(adversary), 1 - decided),
            "gan": w.gan * said(self.judged(adversary, 1 - c), real=True),
            "cycle": w.cycle * distance(images, cycled),
            "cycle_class": w.cycle_class * cross_entropy(self.decisions.log_odds(cycled), decided),
        }
        if w.proximity:
            terms["proximity"] = w.proximity * (images - adversary).abs().mean()
        if w.symmetric or w.symmetric_class:
            stable = translated(pair, adversary, c)
            terms["symmetric"] = w.symmetric * distance(images, stable)
            terms["symmetric_class"] = w.symmetric_class * cross_entropy(self.decisions.log_odds(stable), decided)
        return terms

    def discriminator_terms(self, real: Images, generated: Images, c: int) -> Losses:
        """Real images of class c against those generated to be, and the gradient penalty between them."""
        judgement = said(self.judged(real, c), real=True) + said(self.judged(generated, c), real=False)
        penalty = gradient_penalty(lambda mixed: self.judged(mixed, c), real, generated)
        return {"discriminator": judgement, "penalty": self.weights.penalty * penalty}

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """The generators' loss, by which the best pair is kept, and how adversaries and stable images turn out.

        ``flip``: share of adversaries that the classifier decides otherwise. ``stable``: share of the images where the
        way starts (SyCE) that it decides alike. ``change`` and ``residue``: mean |x - x_a| and |x - x0|.
        """
        pair = self.shown.eval()
        pool = self.validated(samples)
        totals: dict[str, float] = {}
        for c in (0, 1):
            rows = np.flatnonzero(pool.labels == c)
            for part in parts(rows):
                images = pool.take(part)
                loss = float(sum(self.generator_terms(pair, images, c, self.weights).values()))
                totals["loss"] = totals.get("loss", 0.0) + loss * len(part) / len(rows)  # both directions count alike
                ends = pair.path(images, torch.full((len(part),), c, device=images.device))
                for key, values in outcome(self.decisions, images, *ends).items():
                    totals[key] = totals.get(key, 0.0) + float(values.sum()) / len(pool)
        pair.train()
        if self.plateau.improved(totals["loss"], self.optimisers.values()):
            self.best.load_state_dict(pair.state_dict())
        return totals

    def finished(self, i: int) -> bool:
        return bool(self.plateau.finished)


def translated(pair: Pair, images: Images, label: int) -> Images:
    with machine.autocast():
        return pair.across(images, label)


def said(judgement: Values, *, real: bool) -> Tensor:
    """Cross-entropy of what a discriminator should have said."""
    return cross_entropy(judgement, torch.full_like(judgement, float(real)))


def distance(images: Images, others: Images) -> Tensor:
    """Mean square plus mean absolute difference, over all pixels: the L_{1,2} that the paper speaks of."""
    difference = images - others
    return difference.square().mean() + difference.abs().mean()
