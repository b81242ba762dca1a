"""DCGAN (Radford et al., 2016) as David et al. (2019, GANchors) use it, to draw images like those there are."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evidence import machine, training
from evidence.errors import BadInput
from evidence.generating import coarse, fade, kernel_distance, likely, seen, spread, variation
from evidence.networks.blocks import Network
from evidence.networks.dcgan import Discriminator, Generator
from evidence.shapes import Images
from evidence.training import Losses, Samples, move_average

NETWORKS = ("generator", "average")


class Learner(training.Learner):
    """A discriminator asks for images that look real; of which class they are is not looked at.

    Saved networks: ``generator``, that of the last step as published, and ``average``, a moving average of it, ours.

    Args:
        shape: channels and size of an image.
        z: numbers in a latent.
        widths: channels of the generator's transposed convolutions but the last: four for 28×28, and for 64×64.
        judge_widths: channels of the discriminator's convolutions but the last: three for 28×28, four for 64×64.
        lr: learning rate of both Adam optimisers.
        fading: last share of the steps, in which lr falls evenly to nothing. Published: none.
        batch: images in a batch, and as many that are generated.
        shift: share of a side by which the discriminator sees each image moved, real or generated, at most; whole
            pixels, and ``low`` comes in. Published: none. For a few thousand images, which it would know by heart (Zhao
            et al., 2020, Differentiable augmentation).
        brightness: most that is added to, or taken from, each image that it sees. Published: none.
        average: decay a step of the generator's moving average, running statistics included.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        steps: updates of the generator, and of the discriminator. A hundred passes over MNIST are 93,800.
        validate_every: steps between validations. A pass is 938.
        validate_count: images that are generated for a validation, and real ones they are compared with.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        z: int = 100,
        widths: tuple[int, ...] = (512, 256, 128, 64),
        judge_widths: tuple[int, ...] = (64, 128, 256),
        lr: float = 2e-4,
        fading: float = 0.0,
        batch: int = 64,
        shift: float = 0.0,
        brightness: float = 0.0,
        average: float = 0.999,
        low: float = -1.0,
        high: float = 1.0,
        steps: int = 93_800,
        validate_every: int = 938,
        validate_count: int = 1_000,
    ):
        if not 0 <= fading <= 1:
            raise BadInput(f"fading is a share, from 0 to 1, not {fading}")
        channels, *size = shape
        super().__init__()
        self.generator = Generator(size=tuple(size), channels=channels, z=z, widths=tuple(widths), low=low, high=high)
        self.average = copy.deepcopy(self.generator)
        self.judge = Discriminator(size=tuple(size), channels=channels, widths=tuple(judge_widths))
        self.optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999), fused=True)
            for name, network in (("judge", self.judge), ("generator", self.generator))
        }
        self.decay, self.lr, self.fading = average, lr, fading
        self.shift, self.brightness, self.low = shift, brightness, low
        self.batch, self.steps = batch, steps
        self.validate_every, self.validate_count = validate_every, validate_count

    @property
    def networks(self) -> dict[str, Network]:
        return {"generator": self.generator, "average": self.average}

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        """An update of the discriminator, and one of the generator, on the same generated images."""
        if self.fading:
            fade(self.optimisers.values(), self.lr, i, self.steps, self.fading)
        real, _ = next(batches)
        generated = self.generated(len(real))
        losses = self.descend("judge", self.judge_terms(real, generated.detach()))
        self.judge.requires_grad_(False)
        losses |= self.descend("generator", self.generator_terms(generated))
        self.judge.requires_grad_(True)
        move_average(self.average, self.generator, self.decay)
        return losses

    def generated(self, count: int) -> Images:
        """Images of latents from N(0, I)."""
        with machine.autocast():
            return self.generator(torch.randn(count, self.generator.z, device=next(self.parameters()).device))

    def judge_terms(self, real: Images, generated: Images) -> Losses:
        """Real images are to be called 1, generated ones 0; each in a pass of its own."""
        with machine.autocast():
            verdicts = {"judge_real": self.judge(self.seen(real)), "judge_generated": self.judge(self.seen(generated))}
        return {name: likely(verdict, name == "judge_real") for name, verdict in verdicts.items()}

    def generator_terms(self, generated: Images) -> Losses:
        """Generated images are to be called real."""
        with machine.autocast():
            verdict = self.judge(self.seen(generated))
        return {"adversarial": likely(verdict, True)}

    def seen(self, images: Images) -> Images:
        """What the discriminator sees of images."""
        return seen(images, self.shift, self.brightness, self.low)

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """Of both generators: how far generated images vary beside real ones, and how far both are apart (kernel
        distance of coarse pixels)."""
        found = {}
        real = samples.take(spread(np.arange(len(samples)), self.validate_count))
        latents = torch.randn(self.validate_count, self.generator.z, device=real.device)
        for suffix, network in (("", self.generator), ("_average", self.average)):
            with machine.evaluation(network):
                images = torch.cat([network(part) for part in latents.split(100)])
            found[f"variation{suffix}"] = float(variation(images) / variation(real))
            found[f"distance{suffix}"] = float(kernel_distance(coarse(images), coarse(real)))
        return found
