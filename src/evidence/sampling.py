"""Images that keep an anchor and are drawn anew elsewhere: samplers of D(y | A) (David et al., 2019, section 3).

``Stitching`` takes the rest from other images, as the original anchors do. ``Descent`` takes it from a generator: it
seeks latents whose image agrees with the given one on the anchor, 64 at a time (Algorithm 3). ``Projection``, ours,
draws nearly the same in fewer steps; ``docs/anchors.md`` says how near, and what it does not save.

The loss ℓ(z) of a latent is the mean square difference to the given image over the anchor's pixels and channels, for
intensities in [-1, 1]; latents are good where it is no more than a threshold ξ.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evidence import machine
from evidence.anchoring import Anchor
from evidence.errors import BadInput
from evidence.segmenting import Segments
from evidence.shapes import Images, Values

Latents = Float[Tensor, "start latent"]
Mask = Float[Tensor, "1 1 *space"]
Masks = Float[Tensor, "anchor 1 *space"]
Begin = Callable[[Mask, int], Latents]  # the anchor's mask and a number → latents to start from
NEVER = 1e-9  # the threshold that is left where all samples asked for are under way
FRESH_AFTER = 1000  # steps after which latents are given up


class Unreachable(Exception):  # noqa: N818
    """No latent came near the image on the anchor."""


class Spent(Exception):  # noqa: N818
    """What an explanation may cost was reached."""


@dataclass(frozen=True)
class Subject:
    """An image, on its device, and its segments.

    Args:
        image: (1, channel, height, width).
        segments: of its pixels.
    """

    image: Images
    segments: Segments

    def mask(self, anchor: Anchor) -> Mask:
        """1 on the pixels of an anchor, else 0; (1, 1, height, width)."""
        inside = np.isin(self.segments.labels, anchor)
        return torch.from_numpy(inside[None, None].astype(np.float32)).to(self.image.device)

    def patched(self, anchor: Anchor, others: Images) -> "Drawn":
        """Samples that have the anchor's pixels of the image, and the others' elsewhere."""
        mask = self.mask(anchor)
        kept = np.zeros((len(others), self.segments.count), bool)
        kept[:, list(anchor)] = True
        return Drawn(mask * self.image + (1 - mask) * others, others, kept)


@dataclass
class Drawn:
    """Samples: the images, what they were made of, and which segments of the given image each of them kept."""

    images: Images
    whole: Images  # generated images, or donors, before the anchor was put in
    kept: Bool[np.ndarray, "sample segment"]


@dataclass
class Cost:
    """What samples have cost: ``images`` that the generator drew for them, and ``updates`` of latents."""

    images: int = 0
    updates: int = 0
    most: int = 0  # images, before ``Spent`` is raised; 0 for no limit

    def add(self, images: int, updates: int = 0) -> None:
        self.images += images
        self.updates += updates
        if self.most and self.images > self.most:
            raise Spent


@runtime_checkable
class Sampler(Protocol):
    """Draws samples that keep anchors, so many for each."""

    cost: Cost

    def draw(self, anchors: Sequence[Anchor], count: int) -> list[Drawn]: ...


# --- from other images ------------------------------------------------------------------------------------------------


@dataclass
class Stitching:
    """Segments from other images, all those of a sample from the same (Ribeiro et al., 2018, and released code).

    Args:
        subject: the image.
        donors: the others, NumPy (image, channel, height, width).
        random: of the choice of donors and segments.
        keep: chance of a segment outside the anchor to be kept.
        few: of anchors with so many segments or more, nothing else is kept.
    """

    subject: Subject
    donors: Images
    random: np.random.Generator
    keep: float = 0.2
    few: int = 5
    cost: Cost = field(default_factory=Cost)

    def __post_init__(self):
        if self.donors.shape[1:] != tuple(self.subject.image.shape[1:]):
            raise BadInput(
                f"donors of the shape {self.donors.shape[1:]} cannot be stitched to an image of "
                f"{tuple(self.subject.image.shape[1:])}; take both from one dataset"
            )
        if not 0 <= self.keep <= 1:
            raise BadInput(f"keep: {self.keep} is no chance; it lies between 0 and 1")

    def draw(self, anchors: Sequence[Anchor], count: int) -> list[Drawn]:
        return [self._drawn(anchor, count) for anchor in anchors]

    def _drawn(self, anchor: Anchor, count: int) -> Drawn:
        chance = self.keep if len(anchor) < self.few else 0.0
        kept = self.random.random((count, self.subject.segments.count)) < chance
        kept[:, list(anchor)] = True
        rows = self.random.integers(len(self.donors), size=count)
        whole = torch.from_numpy(np.asarray(self.donors[rows], np.float32)).to(self.subject.image.device)
        pixels = torch.from_numpy(kept[:, self.subject.segments.labels][:, None]).to(whole.device)
        return Drawn(torch.where(pixels, self.subject.image, whole), whole, kept)


# --- from a generator -------------------------------------------------------------------------------------------------


def thresholds(count: int, threshold: float, random: np.random.Generator) -> Float[np.ndarray, " count"]:
    """Algorithm 2: what the losses of samples are to be, half of a normal distribution below ``threshold``.

    A draw u from N(ξ, (ξ/6)²), drawn again where it is not between 0 and 2ξ, and 2ξ - u where it is above ξ; the paper
    prints ξ - u, which would be negative.
    """
    found = random.normal(threshold, threshold / 6, count)
    while (wrong := (found <= 0) | (found >= 2 * threshold)).any():
        found[wrong] = random.normal(threshold, threshold / 6, int(wrong.sum()))
    return np.where(found > threshold, 2 * threshold - found, found)


def prior(generator: nn.Module, random: torch.Generator) -> Begin:
    """Latents from N(0, I), whatever the anchor."""

    def begin(mask: Mask, count: int) -> Latents:
        return torch.randn(count, generator.z, generator=random).to(mask.device)

    return begin


def encoded(encoder: nn.Module, image: Images, low: float, high: float, random: torch.Generator) -> Begin:
    """One of the encoder's codes for the masked image, drawn at random, plus N(0, I).

    The encoder sees intensities in [0, 1], and 0 where the mask is.
    """
    known: dict[str, Tensor] = {}

    def begin(mask: Mask, count: int) -> Latents:
        key = mask.cpu().numpy().tobytes()
        if key not in known:
            known.clear()
            with torch.no_grad():
                known[key] = encoder(mask * (image - low) / (high - low))[0]  # (code, latent)
        codes = known[key]
        chosen = torch.randint(len(codes), (count,), generator=random).to(codes.device)
        return codes[chosen] + torch.randn(count, codes.shape[1], generator=random).to(codes.device)

    return begin


def drawn(generator: nn.Module, latents: Latents) -> Images:
    """The images of latents, in a training's arithmetic: what is sought is an image that agrees, not a map."""
    with machine.autocast():
        return generator(latents).float()


def losses(generated: Images, subject: Subject, mask: Masks) -> Values:
    """ℓ of each generated image, on one mask or on its own."""
    pixels = mask.flatten(1).sum(1) * generated.shape[1]
    return ((generated - subject.image).square() * mask).flatten(1).sum(1) / (pixels + 1e-9)


def check(generator: nn.Module, subject: Subject) -> None:
    """Refuse a generator of other images than the one that is to be explained."""
    expected = tuple(subject.image.shape[1:])
    with torch.no_grad():
        found = tuple(generator(torch.zeros(2, generator.z, device=subject.image.device)).shape[1:])
    if found != expected:
        raise BadInput(
            f"the generator draws images of {found}, but those to explain are of {expected}; which was it trained on?"
        )


@dataclass
class Descent:
    """Algorithm 3, as it was released: a batch of latents goes down together, and what is good is taken out.

    Losses, ascending, and thresholds, descending, are paired by rank. The gradient is that of the mean loss of those
    above their threshold; whatever is taken is replaced by a new start, and all moments of Adam begin anew. Requests
    are met ``at_once`` at a time, each time from new latents.

    Args:
        subject: the image.
        generator: draws images of latents; a copy whose batch normalisation is in the mode that is wanted.
        begin: draws the latents to start from.
        random: of the thresholds.
        lr: learning rate of Adam.
        threshold: ξ.
        drawn: each sample has a threshold of its own, from Algorithm 2; else all have ξ.
        at_once: latents that go down together.
        restart: steps after which all of them are given up.
        limit: steps for one batch of samples, before the anchor counts as out of reach.
    """

    subject: Subject
    generator: nn.Module
    begin: Begin
    random: np.random.Generator
    lr: float = 0.1
    threshold: float = 0.05
    drawn: bool = False
    at_once: int = 64
    restart: int = FRESH_AFTER
    limit: int = 5 * FRESH_AFTER
    cost: Cost = field(default_factory=Cost)

    def draw(self, anchors: Sequence[Anchor], count: int) -> list[Drawn]:
        return [self._drawn(anchor, count) for anchor in anchors]

    def _drawn(self, anchor: Anchor, count: int) -> Drawn:
        mask = self.subject.mask(anchor)
        sizes = [min(self.at_once, count - start) for start in range(0, count, self.at_once)]
        return self.subject.patched(anchor, torch.cat([self._batch(mask, size) for size in sizes]))

    def _batch(self, mask: Mask, count: int) -> Images:
        """So many generated images that agree with the subject on the mask."""
        if self.drawn:
            reach = np.sort(thresholds(count, self.threshold, self.random))[::-1]
            reach = torch.from_numpy(np.pad(reach, (0, self.at_once - count)).astype(np.float32)).to(mask.device)
            refill = NEVER
        else:
            reach, refill = torch.full((self.at_once,), self.threshold, device=mask.device), self.threshold
        latents, found, since = self._anew(mask), [], 0
        for _ in range(self.limit):
            if since > self.restart:
                latents, since = self._anew(mask), 0
            since += 1
            z = latents.z.requires_grad_()
            with torch.enable_grad():
                generated = drawn(self.generator, z)
                loss = losses(generated, self.subject, mask)
                order = loss.detach().argsort()
                reach = reach.sort(descending=True).values
                good = torch.zeros_like(reach, dtype=torch.bool)
                good[order] = loss.detach()[order] <= reach
                if not good.all():
                    (gradient,) = torch.autograd.grad(loss[~good].mean(), z)
                    latents.descend(gradient, self.lr)
            self.cost.add(self.at_once, 1)
            if good.any():
                found.append(generated.detach()[good])
                if sum(map(len, found)) >= count:
                    return torch.cat(found)[:count]
                reach[good[order]] = refill
                latents.z[good] = self.begin(mask, int(good.sum()))
                latents.forget()
        raise Unreachable

    def _anew(self, mask: Mask) -> "Adam":
        return Adam(self.begin(mask, self.at_once))


@dataclass
class Adam:
    """Latents and the moments of Adam, with the usual constants."""

    z: Latents
    mean: Latents = None
    square: Latents = None
    count: int = 0

    def forget(self) -> None:
        self.mean, self.square, self.count = None, None, 0

    def descend(self, gradient: Latents, lr: float) -> None:
        """A step, on latents that are from now on new."""
        if self.mean is None:
            self.mean, self.square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self.count += 1
        self.mean.lerp_(gradient, 0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        unit = (self.square / (1 - 0.999**self.count)).sqrt_().add_(1e-8)
        self.z = self.z.detach() - lr / (1 - 0.9**self.count) * self.mean / unit


@dataclass
class Projection:
    """The fastest of a few latents more than are asked for, each of which goes down by itself, in long steps. Ours.

    Algorithm 3 replaces whoever has arrived, so that of a batch of 64 the slow ones are overtaken by new ones and never
    arrive: what it draws are the latents that had a short way. Here so many are begun at once that the same share
    arrives (``spare``), and nobody is replaced. The root of a loss falls nearly evenly along a line, so a step of
    Newton's method on it leads about to where the loss is what it is to be (Polyak's step): a handful of them where
    Adam takes dozens. It leads along the signs of the gradient, which is where Adam goes: along the gradient itself one
    gets elsewhere, and tests of two samples tell. Batch normalisation is folded away, nobody waits for 64, and latents
    of several anchors go down together.

    Args:
        subject: the image.
        generator: draws images of latents; in evaluation mode.
        begin: draws the latents to start from.
        random: of the thresholds.
        threshold: ξ.
        drawn: each sample has a threshold of its own, from Algorithm 2; else all have ξ.
        limit: steps, before an anchor counts as out of reach.
        spare: latents that are begun for each sample beyond one.
        aim: what is aimed at, as a share of the threshold; aimed at the threshold itself, a loss comes ever nearer to
            it, and never below.
        longest: step of a latent at most, in a space where latents are about 10 long.
        restart: steps after which what has not arrived is begun anew.
        most: samples of an anchor that are sought together; a request is met so many at a time.
    """

    subject: Subject
    generator: nn.Module
    begin: Begin
    random: np.random.Generator
    threshold: float = 0.05
    drawn: bool = True
    limit: int = 5 * FRESH_AFTER
    spare: float = 1.0
    aim: float = 0.9
    longest: float = 2.0
    restart: int = 100
    most: int = 64
    cost: Cost = field(default_factory=Cost)

    def draw(self, anchors: Sequence[Anchor], count: int) -> list[Drawn]:
        masks = torch.cat([self.subject.mask(anchor) for anchor in anchors])
        sizes = [min(self.most, count - start) for start in range(0, count, self.most)]
        found = [self._together(masks, size) for size in sizes]
        whole = [torch.cat(pieces) for pieces in zip(*found, strict=True)]
        return [self.subject.patched(anchor, images) for anchor, images in zip(anchors, whole, strict=True)]

    def _together(self, masks: Masks, count: int) -> list[Images]:
        """For each mask, so many generated images that agree with the subject on it."""
        races = [self._begun(mask[None], count) for mask in masks]
        for step in range(self.limit):
            running = [race for race in races if race.wanted]
            if not running:
                return [torch.cat(race.found)[:count] for race in races]
            if step and step % self.restart == 0:
                for race in running:
                    race.latents = self.begin(race.mask, len(race.latents))
            z = torch.cat([race.latents for race in running]).requires_grad_()
            of = torch.cat([torch.full((len(race.latents),), n) for n, race in enumerate(running)]).to(z.device)
            mask = torch.cat([race.mask for race in running])[of]
            with torch.enable_grad():
                generated = drawn(self.generator, z)
                loss = losses(generated, self.subject, mask)
            self.cost.add(len(z), 1)
            sizes = [len(race.latents) for race in running]
            parts = loss.detach().split(sizes), generated.detach().split(sizes)
            aims, arrived = zip(*(race.judged(*part) for race, *part in zip(running, *parts, strict=True)), strict=True)
            if not any(race.wanted for race in running):
                continue
            (gradient,) = torch.autograd.grad(loss.sum(), z)
            moved = z.detach() - self._step(loss.detach(), torch.cat(aims), gradient)
            for race, latents, gone in zip(running, moved.split(sizes), arrived, strict=True):
                race.latents = latents[~gone]
        raise Unreachable

    def _begun(self, mask: Mask, count: int) -> "Race":
        reach = np.full(count, self.threshold)
        if self.drawn:
            reach = np.sort(thresholds(count, self.threshold, self.random))[::-1]
        reach = torch.from_numpy(reach.astype(np.float32)).to(mask.device)
        return Race(mask, self.begin(mask, count + math.ceil(self.spare * count)), reach)

    def _step(self, loss: Values, reach: Values, gradient: Latents) -> Latents:
        """From a loss to a share of its threshold, as if its root were even, all numbers of a latent by the same."""
        length = 2 * (loss - (loss * reach * self.aim).sqrt()) / gradient.abs().sum(1).clamp(min=1e-12)
        most = self.longest / math.sqrt(gradient.shape[1])
        return length.clamp(max=most)[:, None] * gradient.sign()


@dataclass
class Race:
    """The latents that are still under way to one mask, and the thresholds that are left, descending."""

    mask: Mask
    latents: Latents
    reach: Values
    found: list[Images] = field(default_factory=list)

    @property
    def wanted(self) -> int:
        """How many samples are still to come."""
        return len(self.reach)

    def judged(self, loss: Values, generated: Images) -> tuple[Values, Bool[Tensor, " batch"]]:
        """Take what is good, the best latents paired with the loosest thresholds. Returns what each is to reach, and
        who has arrived."""
        order, wanted = loss.argsort(), self.wanted
        aims = self.reach.new_full((len(loss),), float(self.reach[-1]) if wanted else 0.0)
        aims[order[:wanted]] = self.reach
        arrived = torch.zeros_like(loss, dtype=torch.bool)
        arrived[order[:wanted]] = loss[order[:wanted]] <= self.reach
        self.found.append(generated[arrived])
        self.reach = self.reach[~arrived[order[:wanted]]]
        return aims, arrived
