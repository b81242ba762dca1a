"""Anchors (David et al., 2019): random stitching beside anchor-exp and alibi, and an update of latents beside textbook
code."""

import contextlib
import io
import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softmax

from bench.stitched import Stitched
from bench.workers import Calls, _rested, as_textbook, as_torch_has_it, calibrated
from evidence import machine, sampling, trials
from evidence.anchoring import Search
from evidence.networks.dcgan import Generator
from evidence.networks.lean import folded
from evidence.seeds import rng
from evidence.segmenting import Segments


@dataclass(frozen=True)
class Anchors(Stitched):
    """That, and a generator without training.

    Args:
        widths: of the generator.
        latents: that go down together.
        updates: that are timed together.
    """

    widths: tuple[int, ...]
    latents: int
    updates: int

    def generator(self) -> nn.Module:
        torch.manual_seed(1)
        return calibrated(Generator(size=self.size, widths=self.widths), torch.randn(64, 100))


def ours(anchors: Anchors) -> Calls:
    """Seconds of a search by stitching for each of a thousand samples, and of an update of latents."""
    machine.prepare()
    judge, image = machine.place(anchors.judge()), machine.to_device(torch.from_numpy(anchors.images(1)))
    labels = anchors.segments()
    subject = sampling.Subject(image, Segments(labels, int(labels.max()) + 1))
    donors = anchors.images(anchors.donors)

    def stitch() -> float:
        began, drawn = time.perf_counter(), 0
        for number in range(anchors.searches):
            sampler = sampling.Stitching(subject, donors, rng(number, "stitching"))
            found = trials.attempt(trials.Decision(judge, subject), sampler, Search(), number)
            drawn += found.numbers["samples"]
        return (time.perf_counter() - began) / drawn * 1000

    generator = machine.place(folded(anchors.generator())).requires_grad_(False)
    mask, count = subject.mask((0, 1)), anchors.latents

    def update() -> None:
        z = torch.randn(count, generator.z, device=image.device)
        for _ in range(anchors.updates):
            z = z.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(sampling.losses(generator(z), subject, mask).sum(), z)
            z = z - 0.01 * gradient.sign()

    return {"stitching": stitch, "update": partial(_each, update, anchors.updates)}


def usual(anchors: Anchors) -> Calls:
    """The same by the original library, and as an update is usually written."""
    device = as_textbook()
    judge, image = anchors.judge().to(device), torch.from_numpy(anchors.images(1)).to(device)
    generator = as_torch_has_it(anchors.generator().to(device))
    mask = torch.from_numpy(np.isin(anchors.segments(), (0, 1))[None, None].astype(np.float32)).to(device)

    def update() -> None:
        z = torch.randn(anchors.latents, generator.z, device=device).requires_grad_()
        optimiser = torch.optim.Adam([z], lr=0.1)
        for _ in range(anchors.updates):
            optimiser.zero_grad()
            (((generator(z) - image) * mask).square().flatten(1).sum(1) / mask.sum()).sum().backward()
            optimiser.step()

    return {"stitching": partial(library, anchors, judge, device), "update": partial(_each, update, anchors.updates)}


def library(anchors: Anchors, judge: nn.Module, device: torch.device) -> float:
    """anchor-exp's search, with its own sampler, on the same image, segments, donors and classifier."""
    from anchor.anchor_image import AnchorImage

    drawn = 0

    def classify(images: np.ndarray) -> np.ndarray:
        nonlocal drawn
        drawn += len(images)
        with torch.no_grad():
            pixels = torch.from_numpy(np.ascontiguousarray(images[..., :1].transpose(0, 3, 1, 2), np.float32))
            return softmax(judge(pixels.to(device)), 1).cpu().numpy()

    def three(image: np.ndarray) -> np.ndarray:
        return np.repeat(image[0][..., None], 3, -1)

    explainer = AnchorImage(
        dummys=np.stack([three(donor) for donor in anchors.images(anchors.donors)]),
        segmentation_fn=lambda _: anchors.segments(),
    )
    began = time.perf_counter()
    for number in range(anchors.searches):
        np.random.seed(number)  # what the library draws from
        with contextlib.redirect_stdout(io.StringIO()):
            _, sample = explainer.get_sample_fn(three(anchors.images(1)[0]), classify)
            search(sample)
    return (time.perf_counter() - began) / drawn * 1000


def search(sample) -> None:
    """With the settings of GANchors."""
    from anchor.anchor_base import AnchorBaseBeam

    defaults, settings = Search(), {"epsilon_stop": 0.05, "min_samples_start": 0}
    AnchorBaseBeam.anchor_beam(
        sample,
        delta=defaults.delta,
        epsilon=defaults.gap,
        batch_size=defaults.batch,
        desired_confidence=defaults.precision,
        max_anchor_size=defaults.largest,
        coverage_samples=defaults.coverage,
        **settings,
    )


def _each(call, updates: int) -> float:
    """Seconds of one update."""
    return _rested(call) / updates
