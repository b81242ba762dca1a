"""Images that keep an anchor and are drawn anew elsewhere: samplers of D(y | A) (David et al., 2019, section 3).

``Stitching`` takes the rest from other images, as the original anchors do. ``Descent`` takes it from a generator: it
seeks latents whose image agrees with the given one on the anchor, 64 at a time (Algorithm 3). ``chains.Chains``, ours,
walks among such latents.

The loss ℓ(z) of a latent is the mean square difference to the given image over the anchor's pixels and channels, for
intensities in [-1, 1]; latents are good where it is no more than a threshold ξ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evidence import machine
from evidence.anchoring import Anchor, Unreachable
from evidence.errors import BadInput
from evidence.segmenting import Segments
from evidence.shapes import Images, Values

Latents = Float[Tensor, "start latent"]
Mask = Float[Tensor, "1 1 *space"]
Begin = Callable[[Mask, int], Latents]  # the anchor's mask and a number → latents to start from
NEVER = 1e-9  # the threshold that is left where all samples asked for are under way
FRESH_AFTER = 1000  # steps after which latents are given up


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
    """What samples have cost: ``images`` that the generator drew for them, and ``updates`` of latents; and seconds that
    their ``bank`` took, which others use too."""

    images: int = 0
    updates: int = 0
    bank: float = 0.0
    most: int = 0  # images, before ``Spent`` is raised; 0 for no limit

    def add(self, images: int, updates: int = 0) -> None:
        self.images += images
        self.updates += updates
        if self.most and self.images > self.most:
            raise Spent


@runtime_checkable
class Sampler(Protocol):
    """Draws so many samples that keep an anchor, or raises ``Unreachable``.

    Which anchors it will be asked for next, and for how many samples, it hears before (``prepare``), so that it may
    draw for all of them together.
    """

    cost: Cost

    def prepare(self, anchors: Sequence[Anchor], count: int) -> None: ...

    def draw(self, anchor: Anchor, count: int) -> Drawn: ...


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

    def prepare(self, anchors: Sequence[Anchor], count: int) -> None:
        """Nothing is gained."""

    def draw(self, anchor: Anchor, count: int) -> Drawn:
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


def losses(generated: Images, subject: Subject, mask: Mask) -> Values:
    """ℓ of each generated image."""
    pixels = mask.sum() * generated.shape[1]
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
    """Algorithm 3, mostly as it was released: a batch of latents goes down together, and what is good is taken out.

    Losses, ascending, and thresholds, descending, are paired by rank. The gradient is that of the mean loss of those
    above their threshold; whatever is taken is replaced by a new start, and all moments of Adam begin anew. Requests
    are met ``at_once`` at a time, each time from new latents. Two things are ours: the released code never gives up
    (``limit``), and where latents are given up (``restart``) it begins from N(0, I) even with an encoder.

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

    def prepare(self, anchors: Sequence[Anchor], count: int) -> None:
        """Each is sought by itself, as published."""

    def draw(self, anchor: Anchor, count: int) -> Drawn:
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
