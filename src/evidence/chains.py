"""Samples of D(y | A) that a generator draws of itself: Markov chains in its latents, for anchors at interactive speed.

What is sampled is the generator's own distribution, given that an image agrees with the subject on an anchor: latents
z from N(0, I) for which ℓ(z) ≤ u, with a threshold u each. A generated image that agrees by chance is such a sample, so
what chains draw can be compared with what is true. Algorithm 3 sets out for the same and does not arrive there;
``docs/anchors.md`` has both beside it.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn
from torch.nn.functional import one_hot

from evidence.anchoring import Anchor, Unreachable
from evidence.sampling import Cost, Drawn, Latents, Mask, Subject, drawn, losses, thresholds
from evidence.shapes import Images, Values

Directions = Float[torch.Tensor, "latent direction"]  # orthonormal
Rows = Int[torch.Tensor, "_"]  # of a bank
AT_ONCE = 512  # images drawn, or compared, together
WANTED = 0.3  # share of a walker's steps that are to be taken; for a normal distribution about the best there is
STRIDES = 0.01, 1.0  # shortest and longest
FEW = 4  # walkers that go on along gradients, however long it takes


@dataclass(frozen=True)
class Bank:
    """Latents from N(0, I) and their images, drawn once for all anchors of all subjects."""

    latents: Latents
    images: Images


@torch.no_grad()
def bank(generator: nn.Module, count: int, random: torch.Generator, device: torch.device) -> Bank:
    """So many of them."""
    latents = torch.randn(count, generator.z, generator=random).to(device)
    return Bank(latents, torch.cat([drawn(generator, part) for part in latents.split(AT_ONCE)]))


@dataclass
class States:
    """Latents, their images, the losses of these on an anchor, and the thresholds that they are to stay below."""

    latents: Latents
    images: Images
    losses: Values
    reach: Values

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, rows) -> "States":
        return States(self.latents[rows], self.images[rows], self.losses[rows], self.reach[rows])

    def put(self, rows, others: "States") -> None:
        """Others in the places of some."""
        for name in ("latents", "images", "losses", "reach"):
            getattr(self, name)[rows] = getattr(others, name)


@dataclass
class Start:
    """Walkers on their way to an anchor, those of them that still go, and the gradients that they have seen."""

    walkers: States
    mask: Mask
    gradients: list[Latents] = field(default_factory=list)

    def __post_init__(self):
        self.going = torch.arange(len(self.walkers), device=self.mask.device)

    @property
    def arrived(self) -> torch.Tensor:
        return self.walkers.losses <= self.walkers.reach

    def leave(self, *, halve: bool) -> None:
        """Who has arrived goes no farther; where it is time for it, the worse half of the others gives up."""
        self.going = self.going[~self.arrived[self.going]]
        if halve:
            best = self.walkers.losses[self.going].argsort()
            self.going = self.going[best][: max(FEW, len(best) // 2)]

    def steepest(self) -> Directions | None:
        """The directions in which the loss changes, where gradients were needed."""
        return steepest(torch.cat(self.gradients)) if self.gradients else None


@dataclass
class Walk:
    """What is known of an anchor: samples that were not given away yet, and walkers that find more."""

    mask: Mask
    agreeing: Rows
    given: int = 0  # of those
    stock: list[Images] = field(default_factory=list)  # of walkers
    walkers: States | None = None
    reached: bool = True
    left: int = 0  # samples of each of these walkers, before they begin anew
    inner: Directions | None = None  # in which the loss changes most, where that is known
    strides: dict[str, float] = field(default_factory=lambda: {"all": 0.5, "outer": 0.5, "inner": 0.1})
    steps: int = 0

    def lacks(self, count: int) -> bool:
        """Whether there are fewer samples at hand, and more can be had."""
        return self.reached and len(self.agreeing) - self.given + sum(map(len, self.stock)) < count

    def take(self, bank: Bank, count: int) -> Images:
        """Samples that are at hand: those of the bank first, in its order, which is random."""
        rows = self.agreeing[self.given : self.given + count]
        self.given += len(rows)
        every = torch.cat([bank.images[rows], *self.stock])
        self.stock = [every[count:]]
        return every[:count]

    @property
    def kind(self) -> str:
        """Of the next step: of all of a latent, or of three two across the inner directions and one along them."""
        if self.inner is None:
            return "all"
        return "inner" if self.steps % 3 == 2 else "outer"

    def proposed(self, random: torch.Generator) -> Latents:
        """Latents a stride away. What moves, all of a latent or a part of it, moves as N(0, I) allows."""
        now, stride = self.walkers.latents, self.strides[self.kind]
        noise = torch.randn(now.shape, generator=random).to(now.device)
        move = (math.sqrt(1 - stride**2) - 1) * now + stride * noise
        if self.kind == "all":
            return now + move
        inside = (move @ self.inner) @ self.inner.T
        return now + (inside if self.kind == "inner" else move - inside)

    def decide(self, latents: Latents, images: Images, loss: Values) -> None:
        """Take what stays below the thresholds, and a stride that comes nearer to what is wanted, ever less."""
        taken, kind = loss <= self.walkers.reach, self.kind
        self.walkers.put(taken, States(latents, images, loss, self.walkers.reach)[taken])
        self.steps += 1
        factor = math.exp((float(taken.float().mean()) - WANTED) / math.sqrt(self.steps))
        self.strides[kind] = min(max(self.strides[kind] * factor, STRIDES[0]), STRIDES[1])


@dataclass
class Chains:
    """Samples of anchors by walks through latents. Ours.

    Images of the bank that agree are samples for nothing. Where these are used up, walkers go on from them: a step
    z ← √(1 - β²) z + β ξ, ξ from N(0, I), taken where the loss stays below the walker's threshold, leaves the
    distribution as it is (preconditioned Crank-Nicolson; Cotter et al., 2013, section 4.2) and costs an image, with no
    gradient. Where fewer of the bank agree than there are walkers, they start from its nearest, and from walkers to
    parts of the anchor: steps of Newton's method on the root of the loss bring a share of them below their thresholds,
    the others go on from where these are (as in Au and Beck, 2001, subset simulation), and steps that give no samples
    forget the way. The gradients tell in which few directions the loss changes: of three steps two go across these,
    and farther, and one along them (as in Cui, Law and Marzouk, 2016, dimension-independent likelihood-informed MCMC).
    After a few samples each, walkers begin anew elsewhere.

    Args:
        subject: the image.
        generator: draws images of latents; in evaluation mode.
        bank: of the same generator.
        random: of the thresholds.
        latents: random numbers of the walkers.
        threshold: ξ.
        drawn: each sample has a threshold of its own, from Algorithm 2; else all have ξ.
        walkers: of an anchor.
        near: of so many times as many images of the bank, those nearest to agreeing, walkers are drawn that have no
            sample to start from.
        thin: steps between two samples of a walker.
        settle: steps of a walker that did not start from a sample, before its first.
        rounds: samples of a walker before it begins anew.
        share: of walkers that are to arrive by gradients, before the others follow.
        least: share that has to: of the kin of one or two walkers nothing can be learned, however many samples.
        limit: steps along gradients.
        tries: starts of walkers before an anchor is out of reach.
        halving: such steps after which the worse half of those that have not arrived gives up, down to four.
        longest: such a step at most, in a space where latents are about 10 long.
        aim: what such a step leads to, as a share of the threshold; aimed at the threshold itself, a loss comes ever
            nearer to it, and never below.
    """

    subject: Subject
    generator: nn.Module
    bank: Bank
    random: np.random.Generator
    latents: torch.Generator
    threshold: float = 0.05
    drawn: bool = True
    walkers: int = 16
    near: int = 2
    thin: int = 3
    settle: int = 6
    rounds: int = 2
    share: float = 0.5
    least: float = 0.25
    limit: int = 24
    tries: int = 1
    halving: int = 6
    longest: float = 2.0
    aim: float = 0.8
    cost: Cost = field(default_factory=Cost)
    walks: dict[Anchor, Walk] = field(default_factory=dict, init=False)

    def prepare(self, anchors: Sequence[Anchor], count: int) -> None:
        """Have so many samples of each in stock, all drawn together; what cannot be had is known then."""
        for anchor in anchors:
            if anchor not in self.walks:
                self.walks[anchor] = self._opened(anchor)
        lacking = {anchor: self.walks[anchor] for anchor in anchors}
        while lacking := {anchor: walk for anchor, walk in lacking.items() if walk.lacks(count)}:
            self._begin({anchor: walk for anchor, walk in lacking.items() if walk.left == 0})
            going = [walk for walk in lacking.values() if walk.reached]
            for _ in range(self.thin):
                self._step(going)
            for walk in going:
                walk.stock.append(walk.walkers.images.clone())
                walk.left -= 1

    def draw(self, anchor: Anchor, count: int) -> Drawn:
        self.prepare([anchor], count)
        walk = self.walks[anchor]
        if not walk.reached:
            raise Unreachable
        return self.subject.patched(anchor, walk.take(self.bank, count))

    # --- what the bank has --------------------------------------------------------------------------------------------

    @functools.cached_property
    def _pixels(self) -> Values:
        """How many numbers of an image lie in each segment."""
        return self._inside.sum(0) * self.bank.images.shape[1]

    @functools.cached_property
    def _inside(self) -> Float[torch.Tensor, "pixel segment"]:
        labels = torch.from_numpy(self.subject.segments.labels.astype(np.int64)).flatten().to(self.bank.images.device)
        return one_hot(labels, self.subject.segments.count).float()

    @functools.cached_property
    def _off(self) -> Float[torch.Tensor, "row segment"]:
        """The squared differences of each image of the bank, summed over each segment."""
        parts = self.bank.images.split(AT_ONCE)
        return torch.cat([(part - self.subject.image).square().sum(1).flatten(1) @ self._inside for part in parts])

    @functools.cached_property
    def _bounds(self) -> Values:
        """The threshold of each image of the bank."""
        return self._reach(len(self.bank.images))

    def _losses(self, anchor: Anchor) -> Values:
        """ℓ of each image of the bank."""
        parts = list(anchor)
        return self._off[:, parts].sum(1) / (self._pixels[parts].sum() + 1e-9)

    def _reach(self, count: int) -> Values:
        """Thresholds."""
        found = thresholds(count, self.threshold, self.random) if self.drawn else np.full(count, self.threshold)
        return torch.from_numpy(found.astype(np.float32)).to(self.bank.latents.device)

    def _opened(self, anchor: Anchor) -> Walk:
        """A walk, and what of the bank agrees."""
        return Walk(self.subject.mask(anchor), torch.nonzero(self._losses(anchor) <= self._bounds)[:, 0])

    def _some(self, rows: Rows) -> Rows:
        """As many of them as there are walkers, at random."""
        return rows[torch.randperm(len(rows), generator=self.latents).to(rows.device)[: self.walkers]]

    # --- walkers ------------------------------------------------------------------------------------------------------

    def _begin(self, walks: Mapping[Anchor, Walk]) -> None:
        """Set walkers on their way, from samples where there are enough."""
        away = {}
        for anchor, walk in walks.items():
            walk.left = self.rounds
            if len(walk.agreeing) >= self.walkers:
                rows = self._some(walk.agreeing)
                bank = self.bank.latents[rows], self.bank.images[rows]
                walk.walkers = States(*bank, self._losses(anchor)[rows], self._bounds[rows])
            else:
                away[anchor] = walk
        entered = []
        for _ in range(self.tries):
            starts = {anchor: Start(self._nearest(walk, anchor), walk.mask) for anchor, walk in away.items()}
            self._arrive(list(starts.values()))
            for anchor, start in starts.items():
                if start.arrived.float().mean() >= self.least:
                    walk = away.pop(anchor)
                    self._follow(start)
                    walk.walkers, walk.inner = start.walkers, start.steepest()
                    entered.append(walk)
        for walk in away.values():  # walkers that are there go on
            walk.reached = walk.walkers is not None
        for _ in range(self.settle):
            self._step(entered)

    def _nearest(self, walk: Walk, anchor: Anchor) -> States:
        """Latents whose images are nearest to agreeing: of the bank, some of the nearest ones at random, and of walkers
        to parts of the anchor."""
        count = min(self.near * self.walkers, len(self.bank.latents))
        rows = self._some(self._losses(anchor).topk(count, largest=False).indices)
        parts = [other.walkers for part, other in self.walks.items() if other.walkers and set(part) < set(anchor)]
        latents = torch.cat([self.bank.latents[rows], *(part.latents for part in parts)])
        images = torch.cat([self.bank.images[rows], *(part.images for part in parts)])
        found = States(latents, images, losses(images, self.subject, walk.mask), self._reach(len(latents)))
        return found[found.losses.argsort()[: self.walkers]]

    def _arrive(self, starts: Sequence[Start]) -> None:
        """Take walkers down along gradients, until of each start a share is below its thresholds."""
        for step in range(self.limit):
            going = []
            for start in starts:
                start.leave(halve=step > 0 and step % self.halving == 0)
                if len(start.going) and start.arrived.float().mean() < self.share:
                    going.append(start)
            if not going:
                return
            z = torch.cat([start.walkers.latents[start.going] for start in going]).requires_grad_()
            sizes = [len(start.going) for start in going]
            with torch.enable_grad():
                images = drawn(self.generator, z)
                parts = zip(images.split(sizes), going, strict=True)
                loss = torch.cat([losses(part, self.subject, start.mask) for part, start in parts])
                (gradient,) = torch.autograd.grad(loss.sum(), z)
            self.cost.add(len(z), 1)
            found = (each.detach().split(sizes) for each in (z, images, loss, gradient))
            for start, *part in zip(going, *found, strict=True):
                self._moved(start, *part)

    def _moved(self, start: Start, z: Latents, images: Images, loss: Values, gradient: Latents) -> None:
        """Where walkers are, and for those that have not arrived a step on, whose image is not known yet."""
        reach = start.walkers.reach[start.going]
        on = (loss > reach)[:, None]
        z = torch.where(on, z - self._newton(loss, reach, gradient), z)
        start.walkers.put(start.going, States(z, images, loss, reach))
        start.gradients.append(gradient)

    def _newton(self, loss: Values, reach: Values, gradient: Latents) -> Latents:
        """From a loss to a share of its threshold, as if its root fell evenly along the gradient (Polyak's step)."""
        length = 2 * (loss - (loss * reach * self.aim).sqrt()).clamp(min=0)
        step = (length / gradient.square().sum(1).clamp(min=1e-12))[:, None] * gradient
        return step * (self.longest / step.norm(dim=1, keepdim=True).clamp(min=1e-9)).clamp(max=1)

    def _follow(self, start: Start) -> None:
        """Those that have not arrived go on from where others are, chosen at random."""
        there, away = torch.nonzero(start.arrived)[:, 0], torch.nonzero(~start.arrived)[:, 0]
        chosen = torch.randint(len(there), (len(away),), generator=self.latents).to(there.device)
        start.walkers.put(away, start.walkers[there[chosen]])

    @torch.no_grad()
    def _step(self, walks: Sequence[Walk]) -> None:
        """One step of all walkers."""
        if not walks:
            return
        latents = [walk.proposed(self.latents) for walk in walks]
        images = drawn(self.generator, torch.cat(latents))
        self.cost.add(len(images))
        for walk, proposed, part in zip(walks, latents, images.split([len(each) for each in latents]), strict=True):
            walk.decide(proposed, part, losses(part, self.subject, walk.mask))


def steepest(gradients: Latents, share: float = 0.97) -> Directions:
    """The fewest directions that hold a share of the squares of gradients, each of which counts the same."""
    every = gradients / gradients.norm(dim=1, keepdim=True).clamp(min=1e-12)
    _, values, directions = torch.linalg.svd(every, full_matrices=False)
    held = values.square().cumsum(0) / values.square().sum()
    return directions[: int((held < share).sum()) + 1].T
