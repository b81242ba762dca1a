"""Samples of D(y | A) that a generator draws of itself: a bank of its images, and Markov chains in its latents.

What is sampled is the generator's own distribution, given that an image agrees with the subject on an anchor: latents
z from N(0, I) for which ℓ(z) ≤ u, with a threshold u each. A generated image that agrees by chance is such a sample, so
what chains draw can be compared with what is true. Algorithm 3 sets out for the same and does not arrive there;
``docs/anchors.md`` compares both.
"""

import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Float16, Int
from torch import nn
from torch.nn.functional import one_hot

from evidence.anchoring import Anchor, Unreachable
from evidence.errors import BadInput
from evidence.sampling import Cost, Drawn, Latents, Mask, Subject, drawn, losses, thresholds
from evidence.shapes import Images, Values

Rows = Int[torch.Tensor, "_"]  # of a bank, or of chains
AT_ONCE = 512  # images drawn, or compared, together
CHAINS = 256  # of an anchor, at most
WANTED = 0.3  # share of steps that are to be taken; for a normal distribution about the best there is
STRIDES = 0.01, 1.0  # shortest and longest


@dataclass(frozen=True)
class Bank:
    """Latents from N(0, I) and their images, drawn once for all anchors of all subjects.

    Images are kept in half precision, which is nearer to them than a thousandth: a bank of a million digits takes 2 GB.
    """

    latents: Latents
    images: Float16[torch.Tensor, "row channel *space"]
    seconds: float = 0.0  # that it took


@torch.no_grad()
def bank(generator: nn.Module, count: int, random: torch.Generator, device: torch.device) -> Bank:
    """So many of them."""
    began = time.perf_counter()
    latents = torch.randn(count, generator.z, generator=random).to(device)
    images = torch.cat([drawn(generator, part).half() for part in latents.split(AT_ONCE)])
    if device.type == "cuda":  # which may not have begun
        torch.cuda.synchronize(device)
    return Bank(latents, images, time.perf_counter() - began)


@dataclass
class States:
    """Where chains are: latents, their images, and the thresholds below which the losses of these are to stay."""

    latents: Latents
    images: Images
    reach: Values

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows) -> "States":
        return States(self.latents[rows], self.images[rows], self.reach[rows])

    def put(self, rows, others: "States") -> None:
        """Others in the places of some."""
        for name in ("latents", "images", "reach"):
            getattr(self, name)[rows] = getattr(others, name)


@dataclass
class Walk:
    """What is known of an anchor: which of the bank agree, samples that were not given away yet, and chains."""

    mask: Mask
    agreeing: Rows
    given: int = 0  # of those
    stock: list[Images] = field(default_factory=list)  # of chains
    chains: States | None = None
    stride: float = 0.5
    steps: int = 0

    def lacks(self, count: int) -> bool:
        """Whether fewer samples are at hand."""
        return len(self.agreeing) - self.given + sum(map(len, self.stock)) < count

    def take(self, bank: Bank, count: int) -> Images:
        """Samples that are at hand: those of the bank first, in its order, which is random."""
        rows = self.agreeing[self.given : self.given + count]
        self.given += len(rows)
        every = torch.cat([bank.images[rows].float(), *self.stock])
        self.stock = [every[count:]]
        return every[:count]

    def adapt(self, taken: float) -> None:
        """A stride that comes nearer to the share of steps that is to be taken, ever less."""
        self.steps += 1
        stride = self.stride * math.exp((taken - WANTED) / math.sqrt(self.steps))
        self.stride = min(max(stride, STRIDES[0]), STRIDES[1])


@dataclass
class Chains:
    """Samples of anchors out of a bank, and from where these are used up on, by walks through latents. Ours.

    Images of the bank that agree are samples for nothing. Where more are wanted, chains start from them, of which some
    at a time, chosen at random, go on: a step z ← √(1 - β²) z + β ξ, ξ from N(0, I), taken where the loss stays below
    the chain's threshold, leaves the distribution as it is (preconditioned Crank-Nicolson; Cotter et al., 2013, section
    4.2) and costs an image, with no gradient. As each chain starts from a sample, there is nothing to wait for. An
    anchor that fewer of the bank agree with than ``least`` is out of reach: of so few nothing can be learned, however
    far they walk.

    Args:
        subject: the image.
        generator: draws images of latents; in evaluation mode.
        bank: of the same generator.
        random: of the thresholds.
        latents: random numbers of the chains.
        threshold: ξ.
        drawn: each sample has a threshold of its own, from Algorithm 2; else all have ξ.
        walkers: chains that go on together.
        thin: steps between two samples of a chain.
        least: images of the bank that have to agree with an anchor.
    """

    subject: Subject
    generator: nn.Module
    bank: Bank
    random: np.random.Generator
    latents: torch.Generator
    threshold: float = 0.05
    drawn: bool = True
    walkers: int = 16
    thin: int = 3
    least: int = 16
    cost: Cost = field(default_factory=Cost)
    walks: dict[Anchor, Walk] = field(default_factory=dict, init=False)

    def __post_init__(self):
        for name in ("walkers", "thin", "least"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name}: {getattr(self, name)} has to be 1 or more")

    def prepare(self, anchors: Sequence[Anchor], count: int) -> None:
        """Have so many samples of each at hand that is within reach, all drawn together."""
        for anchor in anchors:
            if anchor not in self.walks:
                self.walks[anchor] = Walk(self.subject.mask(anchor), self._agreeing(anchor))
        lacking = [self.walks[anchor] for anchor in anchors if self._reached(self.walks[anchor])]
        while lacking := [walk for walk in lacking if walk.lacks(count)]:
            for walk in lacking:
                if walk.chains is None:
                    walk.chains = self._started(walk.agreeing)
            rows = [self._some(len(walk.chains)) for walk in lacking]
            going = [walk.chains[some] for walk, some in zip(lacking, rows, strict=True)]
            for _ in range(self.thin):
                self._step(lacking, going)
            for walk, some, states in zip(lacking, rows, going, strict=True):
                walk.chains.put(some, states)
                walk.stock.append(states.images)

    def draw(self, anchor: Anchor, count: int) -> Drawn:
        self.prepare([anchor], count)
        walk = self.walks[anchor]
        if not self._reached(walk):
            raise Unreachable
        return self.subject.patched(anchor, walk.take(self.bank, count))

    # --- what the bank has --------------------------------------------------------------------------------------------

    @functools.cached_property
    def _inside(self) -> Float[torch.Tensor, "pixel segment"]:
        labels = torch.from_numpy(self.subject.segments.labels.astype(np.int64)).flatten().to(self.bank.images.device)
        return one_hot(labels, self.subject.segments.count).float()

    @functools.cached_property
    def _off(self) -> Float[torch.Tensor, "row segment"]:
        """The squared differences of each image of the bank, summed over each segment."""
        apart = (part.float().sub_(self.subject.image).square_() for part in self.bank.images.split(AT_ONCE))
        return torch.cat([each.sum(1).flatten(1) @ self._inside for each in apart])

    @functools.cached_property
    def _reach(self) -> Values:
        """The threshold of each image of the bank."""
        count = len(self.bank.latents)
        found = thresholds(count, self.threshold, self.random) if self.drawn else np.full(count, self.threshold)
        return torch.from_numpy(found.astype(np.float32)).to(self.bank.latents.device)

    def _losses(self, anchor: Anchor) -> Values:
        """ℓ of each image of the bank."""
        parts = list(anchor)
        numbers = self._inside[:, parts].sum() * self.bank.images.shape[1]
        return self._off[:, parts].sum(1) / (numbers + 1e-9)

    def _agreeing(self, anchor: Anchor) -> Rows:
        """Where they are in the bank."""
        return torch.nonzero(self._losses(anchor) <= self._reach)[:, 0]

    def _reached(self, walk: Walk) -> bool:
        return len(walk.agreeing) >= self.least

    # --- chains -------------------------------------------------------------------------------------------------------

    def _started(self, agreeing: Rows) -> States:
        """Chains at samples of the bank; at random ones where there are many."""
        order = torch.randperm(len(agreeing), generator=self.latents).to(agreeing.device)
        rows = agreeing[order[:CHAINS]]
        return States(self.bank.latents[rows], self.bank.images[rows].float(), self._reach[rows])

    def _some(self, count: int) -> Rows:
        """Which of so many chains go on."""
        return torch.randperm(count, generator=self.latents)[: self.walkers].to(self.bank.latents.device)

    @torch.no_grad()
    def _step(self, walks: Sequence[Walk], going: Sequence[States]) -> None:
        """One step of some chains of each walk."""
        latents = [self._proposed(states.latents, walk.stride) for walk, states in zip(walks, going, strict=True)]
        images = drawn(self.generator, torch.cat(latents))
        self.cost.add(len(images))
        parts = images.split([len(each) for each in latents])
        for walk, states, z, part in zip(walks, going, latents, parts, strict=True):
            taken = losses(part, self.subject, walk.mask) <= states.reach
            states.put(taken, States(z, part, states.reach)[taken])
            walk.adapt(float(taken.float().mean()))

    def _proposed(self, latents: Latents, stride: float) -> Latents:
        """Latents a stride away: N(0, I) is left as it is."""
        noise = torch.randn(latents.shape, generator=self.latents).to(latents.device)
        return math.sqrt(1 - stride**2) * latents + stride * noise
