"""medXGAN: a generator of two latents, around a frozen classifier (Dravid et al., CVPR-W 2022, section 3)."""

import copy
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from evidence import machine, training
from evidence.deciding import Decisions
from evidence.errors import BadInput
from evidence.generating import coarse, fade, kernel_distance, likely, seen, spread, variation
from evidence.networks.blocks import Network
from evidence.networks.encoder import Encoder
from evidence.networks.latent import Discriminator, Generator, Latents, draw
from evidence.shapes import Images, Labels, Values
from evidence.training import Losses, Samples, move_average

NETWORKS = ("generator", "average", "best", "encoder")
ON_REQUEST = {"encoder": "likeness"}
AGREED = 0.95  # share of generated images of the class that was asked for, without which no generator is the best


class Learner(training.Learner):
    """A discriminator asks for images that look real, the classifier for images of the class that was asked for.

    Saved networks: ``generator``, that of the last step as released; ``average``, a moving average of it, ours; and
    ``best``, that average at the validation where its images were nearest to the real ones, of those where the
    classifier agreed on 95 in 100, if there was one. The authors stopped by eye, and say nothing of a choice.
    ``encoder``, which learns with the generator where ``likeness`` asks for it.

    Args:
        shape: channels and size of an image, all sides alike.
        classifier: what says of which class an image is; it does not learn.
        z1: numbers in the latent of what all classes share. Released: 1000 for 64×64, 100 for 128×128.
        z2: numbers in the latent of class 1. Released: 100 and 10.
        base: channels of the generator's first place.
        widths: channels of the generator's transposed convolutions but the last: three for 64×64, four for 128×128.
        judge_widths: channels of the discriminator's convolutions.
        dropout: share of numbers that the discriminator leaves out while it learns.
        class_weight: weight of the classifier's term. Paper: 1; released: 2 for MRI, 1 for X-rays.
        class_loss: the cross-entropy of the classifier's ``probabilities``, taken for logits, as released: it lies
            between 0.31 and 1.31, and its gradient fades where the classifier is certain. Or of its ``logits``, the
            paper's negative logarithm of the probability.
        graded: share of the images of class 1 whose z2 is shortened to a share drawn evenly from 0 to 1, and of which
            the classifier is asked for that probability of class 1. Released: none, so that no one asks for anything
            between z2 = 0 and a whole z2, where latent integrated gradients and the figures' ways lead through.
        likeness: weight of the mean square difference between real images and what the generator makes of latents that
            an encoder finds for them, which learns with it. These are of the length that drawn ones have, z2 zeros for
            class 0. Released: none. From a few hundred images a generator learns to draw some of them, over and over;
            of no others can an inversion find latents, so what it explains is another image than the one given.
        rising: weight of the fall of the classifier's log-odds of class 1 between two places drawn on the way from
            z2 = 0 to a whole z2, the second nearer to the whole; a rise costs nothing. Released: none.
        slope: how steep that rise has to be, in log-odds a whole way: two places half a way apart cost nothing once
            they are half of ``slope`` apart. With 0, what rises at all costs nothing.
        encoder_widths: channels of the encoder's convolutions, each of which halves the size.
        lr: learning rate of both Adam optimisers.
        fading: last share of the steps, in which lr falls evenly to nothing. Released: none.
        batch: images in a batch, half of either class, which makes up for classes of different number. Released: a copy
            of the data in which both are of one number.
        shift: share of a side by which the discriminator sees each image moved, real or generated, at most; whole
            pixels, and ``low`` comes in. Released: none. Without, it soon knows a few hundred images by heart, and the
            generator draws one and the same (Zhao et al., 2020, Differentiable augmentation).
        brightness: most that is added to, or taken from, each image that it sees. Released: none.
        average: decay a step of the generator's moving average.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        steps: updates of the generator, and of the discriminator. Released: at most 65,000 for MRI.
        validate_every: steps between validations.
        validate_count: images of either class that are generated for a validation.
    """

    by_class = True

    def __init__(
        self,
        shape: tuple[int, ...],
        classifier: nn.Module,
        *,
        z1: int = 1000,
        z2: int = 100,
        base: int = 768,
        widths: tuple[int, ...] = (384, 256, 192),
        judge_widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512),
        dropout: float = 0.5,
        class_weight: float = 2.0,
        class_loss: Literal["probabilities", "logits"] = "probabilities",
        graded: float = 0.0,
        likeness: float = 0.0,
        rising: float = 0.0,
        slope: float = 0.0,
        encoder_widths: tuple[int, ...] = (32, 64, 128, 256),
        lr: float = 2e-4,
        fading: float = 0.0,
        batch: int = 32,
        shift: float = 0.0,
        brightness: float = 0.0,
        average: float = 0.999,
        low: float = -1.0,
        high: float = 1.0,
        steps: int = 65_000,
        validate_every: int = 1_000,
        validate_count: int = 200,
    ):
        channels, *size = shape
        side = 2 ** (len(widths) + 3)
        if set(size) != {side}:
            raise BadInput(
                f"widths: {len(widths)} of them draw images of {'×'.join([str(side)] * len(size))}, but these are of "
                f"{'×'.join(map(str, size))}; three widths draw sides of 64, four of 128"
            )
        if batch < 2 or batch % 2:
            raise BadInput(f"batch: half of a batch is of either class, so it is an even number, not {batch}")
        for name, weight, none in (("likeness", likeness, "no encoder"), ("rising", rising, "none")):
            if weight < 0:
                raise BadInput(f"{name} is a weight, or 0 for {none}, not {weight}")
        if slope < 0:
            raise BadInput(f"slope is how many log-odds a whole way has to rise, or 0 for any, not {slope}")
        if slope and not rising:
            raise BadInput(
                "slope says how steep ways have to rise, but rising, its weight, is 0: set it, or take slope away"
            )
        if likeness and side // 2 ** len(encoder_widths) < 1:
            raise BadInput(f"encoder_widths: images of {side} cannot be halved {len(encoder_widths)} times; take fewer")
        for name, share in (("graded", graded), ("fading", fading)):
            if not 0 <= share <= 1:
                raise BadInput(f"{name} is a share, from 0 to 1, not {share}")
        super().__init__()
        self.generator = Generator(
            channels=channels,
            z1=z1,
            z2=z2,
            base=base,
            widths=tuple(widths),
            low=low,
            high=high,
            spatial_dims=len(size),
        )
        self.encoder = None
        if likeness:
            codes = {"codes": 1, "z": z1 + z2}
            self.encoder = Encoder(size=tuple(size), channels=channels, widths=tuple(encoder_widths), **codes)
        self.average, self.best = copy.deepcopy(self.generator), copy.deepcopy(self.generator)
        self.register_buffer("best_distance", torch.tensor(float("inf")))
        self.judge = Discriminator(size=tuple(size), channels=channels, widths=tuple(judge_widths), dropout=dropout)
        self.decisions = Decisions(classifier)
        learning = {"judge": [self.judge], "generator": [self.generator, *([self.encoder] if likeness else [])]}
        self.optimisers = {
            name: torch.optim.Adam(nn.ModuleList(networks).parameters(), lr=lr, betas=(0.5, 0.999), fused=True)
            for name, networks in learning.items()
        }
        self.class_weight, self.class_loss, self.decay = class_weight, class_loss, average
        self.graded, self.likeness, self.rising, self.slope = graded, likeness, rising, slope
        self.lr, self.fading = lr, fading
        self.shift, self.brightness, self.low = shift, brightness, low
        self.batch, self.steps = batch // 2, steps
        self.validate_every, self.validate_count = validate_every, validate_count

    @property
    def networks(self) -> dict[str, Network]:
        best = {"best": self.best} if self.best_distance < float("inf") else {}
        encoder = {"encoder": self.encoder} if self.encoder is not None else {}
        return {"generator": self.generator, "average": self.average, **best, **encoder}

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        """An update of the discriminator, and one of the generator."""
        if self.fading:
            fade(self.optimisers.values(), self.lr, i, self.steps, self.fading)
        absent, present = next(batches)
        real = machine.laid_out(torch.cat([absent, present]))
        losses = self.descend("judge", self.judge_terms(real))
        labels = torch.arange(len(real), device=real.device) // len(absent)  # those of the real batch
        self.judge.requires_grad_(False)
        terms, found = [self.generator_terms(labels)], None
        if self.encoder is not None:
            found = self.generator.guessed(self.encoder, real, labels)  # in float32, as in all later work
            terms.append(self.likeness_terms(real, found))
        if self.rising:
            terms.append(self.rising_terms(labels, found))
        losses |= self.descend("generator", *terms)
        self.judge.requires_grad_(True)
        move_average(self.average, self.generator, self.decay)
        return losses

    def judge_terms(self, real: Images) -> Losses:
        """Real images are to be called 1, generated ones, of classes drawn at random, 0; each in a pass of its own."""
        labels = torch.randint(2, (len(real),), device=real.device)
        with machine.autocast():
            with torch.no_grad():  # the generator learns nothing here
                generated = self.generator(draw(self.asked(labels), self.generator.sizes))
            verdicts = {
                "judge_real": self.judge(self.seen(real)),
                "judge_generated": self.judge(self.seen(generated)),
            }
        return {name: likely(verdict, name == "judge_real") for name, verdict in verdicts.items()}

    def generator_terms(self, labels: Labels) -> Losses:
        """Generated images are to be called real, and to be of the class that was asked for."""
        asked = self.asked(labels)
        with machine.autocast():
            generated = self.generator(draw(asked, self.generator.sizes))
            verdict = self.judge(self.seen(generated))
        agreement = class_term(self.decisions.log_odds(generated), asked, self.class_loss)
        return {"adversarial": likely(verdict, True), "class": self.class_weight * agreement}

    def likeness_terms(self, real: Images, found: Latents) -> Losses:
        """What the encoder finds for real images is to make these images, by running statistics, as in all later work.

        Not by those of its own batch: the running ones would be a mixture of two kinds of images and fit neither.
        """
        with machine.autocast(), machine.running_statistics(self.generator):
            back = self.generator(found)
        return {"likeness": self.likeness * (back.float() - real).square().mean()}

    def rising_terms(self, labels: Labels, found: Latents | None) -> Losses:
        """Of two images on the way from a negative to its positive the farther is to have no lower log-odds of class 1,
        or higher ones by its lead times ``slope``.

        A way for each image of class 1; with an encoder every other one leads to what was ``found`` for a real image.
        """
        latents = draw(labels, self.generator.sizes)
        if found is not None:
            latents[::2] = found.detach()[::2]
        z1, z2 = latents[labels == 1].split(self.generator.sizes, 1)
        shares = torch.rand(2, len(z1), 1, device=z1.device).sort(0).values
        pair = torch.cat([torch.cat([z1, share * z2], 1) for share in shares])
        with machine.autocast(), machine.running_statistics(self.generator):
            images = self.generator(pair)
        with machine.exactly():  # differences count, and log-odds of 8 and more are a sixteenth apart in bfloat16
            before, after = self.decisions.log_odds(images.float()).chunk(2)
        wanted = self.slope * (shares[1] - shares[0]).squeeze(1)
        return {"rising": self.rising * (before + wanted - after).relu().mean()}

    def asked(self, labels: Labels) -> Values:
        """The probability of class 1 that is asked for, which is how much of its z2 an image gets too."""
        asked = labels.float()
        if not self.graded:
            return asked
        graded = torch.rand_like(asked) < self.graded
        return torch.where(graded, asked * torch.rand_like(asked), asked)

    def seen(self, images: Images) -> Images:
        """What the discriminator sees of images."""
        return seen(images, self.shift, self.brightness, self.low)

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """Of both generators: how often the classifier agrees with the class that was asked for, how far the generated
        images of a class vary beside the real ones, and how far both are apart (kernel distance of coarse pixels). With
        an encoder, how far real images are from what comes back of them (mean square)."""
        found = {}
        labels = torch.arange(2 * self.validate_count, device=next(self.generator.parameters()).device) % 2
        latents = draw(labels, self.generator.sizes)
        rows = np.concatenate([spread(np.flatnonzero(samples.labels == k), self.validate_count) for k in (0, 1)])
        real, classes = samples.labelled(rows)
        for suffix, network in (("", self.generator), ("_average", self.average)):
            with machine.evaluation(network):
                images = torch.cat([network(part) for part in latents.split(100)])
            agreed = torch.cat([self.decisions.of(part) for part in images.split(100)]) == labels
            found[f"agreement{suffix}"] = float(agreed.float().mean())
            ratios = [variation(images[labels == k]) / variation(real[classes == k]) for k in (0, 1)]
            found[f"variation{suffix}"] = float(sum(ratios) / 2)
            found[f"distance{suffix}"] = float(
                sum(kernel_distance(coarse(images[labels == k]), coarse(real[classes == k])) for k in (0, 1)) / 2
            )
            if self.encoder is not None:
                with machine.evaluation(network, self.encoder):
                    parts = zip(real.split(100), classes.split(100), strict=True)
                    back = torch.cat([network(network.guessed(self.encoder, *part)) for part in parts])
                found[f"apart{suffix}"] = float((back - real).square().mean())
        if found["agreement_average"] >= AGREED and found["distance_average"] < self.best_distance:
            self.best.load_state_dict(self.average.state_dict())
            self.best_distance.fill_(found["distance_average"])
        return found


def class_term(log_odds: Values, asked: Values, kind: str) -> Tensor:
    """The mean cross-entropy of a classifier of two classes, given the log-odds of class 1, with the probability that
    is asked for."""
    against = -log_odds if kind == "logits" else 1 - 2 * log_odds.sigmoid()  # class 0's logit, or probability, less 1's
    return (asked * softplus(against) + (1 - asked) * softplus(-against)).mean()
