"""Latents whose image is a given one, many images at once (Dravid et al., CVPR-W 2022, section 3, equation 5).

Images do not see each other: the loss is a sum of theirs, the generator is in evaluation mode, and each has a start of
its own, so what is found for one does not depend on the others, but for rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from evidence.errors import BadInput
from evidence.networks.log_odds import LogOdds
from evidence.resuming import Keeper
from evidence.shapes import Images, Labels, Values

EVERY = 50  # iterations between two looks at who has finished, and at the clock
BETAS, EPSILON = (0.5, 0.999), 1e-8


@dataclass(frozen=True)
class Recipe:
    """How latents are sought; ``attribution.inversion`` explains each."""

    optimiser: Literal["adam", "sgd"]
    initial: Literal["zeros", "normal", "encoder"]
    lr: float
    mse: float
    bce: float
    steps: int
    patience: int
    least: float
    prior: float = 0.0
    decay: bool = False
    negative: float = 0.0

    def rate(self, i: int) -> float:
        """The learning rate of iteration ``i``, from 0."""
        return self.lr * (1 + math.cos(math.pi * i / self.steps)) / 2 if self.decay else self.lr


@dataclass
class Found:
    """Of each image: its latents (image, z1 + z2), and how near their image comes to it."""

    latents: Tensor
    mse: Values  # mean over channels and pixels
    bce: Values  # of the reconstruction's p1 with the image's, both as they are: no less than the entropy of the latter
    iterations: Values


def starts(streams: Sequence[int], generator: nn.Module, initial: str, device: torch.device) -> Tensor:
    """A start for each stream: z2 from N(0, I), z1 from it too or all zeros; the same z2 either way."""
    z1, z2 = generator.sizes
    drawn = [torch.randn(z1 + z2, generator=torch.Generator().manual_seed(stream)) for stream in streams]
    latents = torch.stack(drawn).to(device)
    if initial == "zeros":
        latents[:, :z1] = 0
    return latents


@torch.no_grad()
def guesses(images: Images, decided: Labels, generator: nn.Module, encoder: nn.Module) -> Tensor:
    """A start where the encoder puts each image, being of the class that it is decided for."""
    if getattr(encoder, "sizes", None) != (1, sum(generator.sizes)):
        raise BadInput(
            f"the encoder does not find one latent of {sum(generator.sizes)} numbers, as the generator takes; give the "
            "encoder that was trained with it"
        )
    return generator.guessed(encoder, images, decided)


def invert(
    images: Images,
    generator: nn.Module,
    classifier: nn.Module,
    streams: Sequence[int],
    recipe: Recipe,
    keeper: Keeper,
    encoder: nn.Module | None = None,
) -> Found:
    """Descend from each image's start until its steps are over, or its loss stays.

    Where the process is stopped, ``keeper`` has what goes on: iteration, latents, moments and who is finished.
    """
    if not hasattr(generator, "negative"):
        raise BadInput(f"a {type(generator).__name__} draws nothing from latents; give the generator of a medxgan")
    if recipe.steps < 1 or recipe.lr <= 0:
        raise BadInput(f"inversion takes 1 step or more, and lr above 0, not {recipe.steps} and {recipe.lr}")
    for name in ("mse", "bce", "prior", "negative"):
        if getattr(recipe, name) < 0:
            raise BadInput(f"{name} is a weight, 0 for none, not {getattr(recipe, name)}")
    if (recipe.initial == "encoder") != (encoder is not None):
        raise BadInput(
            "an encoder, and initial: encoder, go together: name the one that was trained with the generator among the "
            "method's needs, encoder: medxgan.encoder, or start from zeros or normal"
        )
    if generator(starts(streams[:1], generator, "zeros", images.device)).shape[1:] != images.shape[1:]:
        raise BadInput(
            f"the generator draws other images than these, of {tuple(images.shape[1:])}; which was it trained on?"
        )
    score = LogOdds(classifier, 1)
    target = score(images).sigmoid()
    if encoder is None:
        first = starts(streams, generator, recipe.initial, images.device)
    else:
        first = guesses(images, (target >= 0.5).long(), generator, encoder)
    now = {
        "iteration": torch.zeros((), dtype=torch.int64),
        "latents": first,
        "best": torch.full((len(images),), torch.inf, device=images.device),
        "improved": torch.zeros(len(images), dtype=torch.int64, device=images.device),
        "ended": torch.zeros(len(images), dtype=torch.int64, device=images.device),  # 0: not yet
    }
    now |= {name: torch.zeros_like(now["latents"]) for name in ("mean", "square")}
    now |= {name: torch.from_numpy(value).to(now[name].device) for name, value in keeper.load().items()}
    rows = None
    for i in range(int(now["iteration"]), recipe.steps):
        if rows is None or i % EVERY == 0:
            rows = torch.nonzero(now["ended"] == 0).squeeze(1)
        if len(rows) == 0:
            break
        latents = now["latents"][rows].requires_grad_()
        with torch.enable_grad():
            mse, bce = errors(images[rows], target[rows], generator(latents), score)
            loss = recipe.mse * mse + recipe.bce * bce
            if recipe.prior:
                loss = loss + recipe.prior * latents.square().mean(1)
            if recipe.negative:
                loss = loss + recipe.negative * softplus(score(generator(generator.negative(latents))))
            (gradient,) = torch.autograd.grad(loss.sum(), latents)
        now["latents"][rows] = latents.detach() + moved(gradient, now, rows, i, recipe)
        better = loss.detach() < now["best"][rows] - recipe.least
        now["best"][rows] = torch.where(better, loss.detach(), now["best"][rows])
        now["improved"][rows] = torch.where(better, i, now["improved"][rows])
        if (i + 1) % EVERY == 0 or i + 1 == recipe.steps:
            over = torch.full_like(rows, i + 1 == recipe.steps, dtype=torch.bool)
            if recipe.patience:
                over |= i - now["improved"][rows] >= recipe.patience
            now["ended"][rows[over]] = i + 1
            now["iteration"].fill_(i + 1)
            keeper.keep(now)
    with torch.no_grad():
        mse, bce = errors(images, target, generator(now["latents"]), score)
    return Found(now["latents"], mse, bce, now["ended"].to(mse.dtype))


def errors(images: Images, target: Values, drawn: Images, score: LogOdds) -> tuple[Values, Values]:
    """Mean square difference, and cross-entropy of the probability of class 1 with that of the image."""
    log_odds = score(drawn)
    return (drawn - images).square().flatten(1).mean(1), softplus(log_odds) - target * log_odds


def moved(gradient: Tensor, now: dict[str, Tensor], rows: Tensor, i: int, recipe: Recipe) -> Tensor:
    """The step of iteration ``i`` for the rows that go on: plain descent, or Adam's, whose moments are kept."""
    rate, count = recipe.rate(i), i + 1
    if recipe.optimiser == "sgd":
        return -rate * gradient
    first, second = BETAS
    mean = now["mean"][rows].lerp(gradient, 1 - first)
    square = now["square"][rows].lerp(gradient.square(), 1 - second)
    now["mean"][rows], now["square"][rows] = mean, square
    return -rate * (mean / (1 - first**count)) / ((square / (1 - second**count)).sqrt() + EPSILON)


def valid(found: Found, classifier: nn.Module, images: Images, drawn: Images, tolerance: float) -> Values:
    """1 where the reconstruction is decided as the image is and, with a tolerance, is as near as that; else 0."""
    score = LogOdds(classifier, 1)
    same = (score(images) >= 0) == (score(drawn) >= 0)
    near = found.mse <= tolerance if tolerance else found.mse.isfinite()
    return (same & near).float()
