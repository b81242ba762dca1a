"""medXGAN (Dravid et al., 2022): a training step and an iteration of inversion, beside textbook code."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, mse_loss

from bench.workers import Calls, _rested, as_textbook, as_torch_has_it, calibrated, noise
from evidence import inverting, machine
from evidence.models.medxgan import Learner
from evidence.networks.latent import Discriminator, Generator, draw
from evidence.networks.lean import folded
from evidence.networks.simple_cnn import SimpleCNN
from evidence.resuming import Keeper


@dataclass(frozen=True)
class Latents:
    """medXGAN's networks, without training, and how much is measured."""

    size: tuple[int, int]
    channels: int
    z1: int
    z2: int
    base: int
    widths: tuple[int, ...]
    judge_widths: tuple[int, ...]
    batch: int  # images in a training step
    at_once: tuple[int, ...]  # images that are inverted together, one case each
    iterations: int  # of inversion that are measured

    def classifier(self) -> nn.Module:
        torch.manual_seed(0)
        return calibrated(SimpleCNN(size=self.size, channels=self.channels), self.images(8))

    def images(self, count: int) -> Tensor:
        return noise(count, self.size).repeat(1, self.channels, 1, 1)

    def generator(self) -> nn.Module:
        torch.manual_seed(1)
        drawn = {"channels": self.channels, "z1": self.z1, "z2": self.z2, "base": self.base, "widths": self.widths}
        network = Generator(**drawn)
        return calibrated(network, torch.randn(32, self.z1 + self.z2))


def ours(latents: Latents) -> Calls:
    """Seconds of a step as a training makes it, and of an iteration for one of so many images at once."""
    machine.prepare()
    sizes = {"z1": latents.z1, "z2": latents.z2, "base": latents.base, "widths": latents.widths}
    shape = (latents.channels, *latents.size)
    learner = Learner(shape, latents.classifier(), **sizes, judge_widths=latents.judge_widths, batch=latents.batch)
    machine.place(learner)
    halves = machine.to_device(latents.images(latents.batch)).chunk(2)
    generator, classifier = (
        machine.place(folded(network)).requires_grad_(False) for network in (latents.generator(), latents.classifier())
    )

    def step() -> None:
        with machine.training(shape):
            learner.step(iter([halves]), 0)

    def iterate(count: int) -> None:
        recipe = inverting.Recipe("adam", "zeros", 0.01, 4.0, 1.0, latents.iterations, 0, 1e-4)
        images = machine.to_device(latents.images(count))
        inverting.invert(images, generator, classifier, list(range(count)), recipe, Keeper())

    return {"step": partial(_rested, step)} | {
        str(count): partial(_an_iteration, partial(iterate, count), latents, count) for count in latents.at_once
    }


def plain(latents: Latents) -> Calls:
    """The same as they are usually written: nothing frozen, detached or folded, in torch's own layout."""
    device = as_textbook()
    generator, classifier = latents.generator().to(device), latents.classifier().to(device)
    judge = Discriminator(size=latents.size, channels=latents.channels, widths=latents.judge_widths).to(device)
    generator, judge = as_torch_has_it(generator), as_torch_has_it(judge)
    adam = [torch.optim.Adam(each.parameters(), lr=2e-4, betas=(0.5, 0.999)) for each in (judge, generator)]
    real = latents.images(latents.batch).to(device)
    labels = torch.arange(latents.batch, device=device) % 2
    sizes = (latents.z1, latents.z2)

    def step() -> None:
        generator.train()
        says = binary_cross_entropy_with_logits
        adam[0].zero_grad()
        verdict = judge(real)
        says(verdict, torch.ones_like(verdict)).backward()
        verdict = judge(generator(draw(torch.randint(2, labels.shape, device=device), sizes)))
        says(verdict, torch.zeros_like(verdict)).backward()
        adam[0].step()
        adam[1].zero_grad()
        generated = generator(draw(labels, sizes))
        verdict = judge(generated)
        agreement = cross_entropy(classifier(generated).softmax(1), labels)
        (says(verdict, torch.ones_like(verdict)) + 2 * agreement).backward()
        adam[1].step()

    def iterate(count: int) -> None:
        generator.eval()
        images = latents.images(count).to(device)
        with torch.no_grad():
            target = classifier(images).softmax(1)[:, 1]
        sought = draw(torch.ones(count, dtype=torch.int64, device=device), sizes).requires_grad_()
        optimiser = torch.optim.Adam([sought], lr=0.01, betas=(0.5, 0.999))
        for _ in range(latents.iterations):
            optimiser.zero_grad()
            drawn = generator(sought)
            says = binary_cross_entropy(classifier(drawn).softmax(1)[:, 1], target)
            (says + 4 * mse_loss(drawn, images)).backward()
            optimiser.step()

    return {"step": partial(_rested, step)} | {
        str(count): partial(_an_iteration, partial(iterate, count), latents, count) for count in latents.at_once
    }


def _an_iteration(call, latents: Latents, count: int) -> float:
    """Seconds of one iteration for one image."""
    return _rested(call) / latents.iterations / count
