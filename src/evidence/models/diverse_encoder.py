"""The diverse encoder (David et al., 2019, GANchors, equation 12 and released code): latents to begin with, for samples
that agree with an image on an anchor."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evidence import machine, segmenting, training
from evidence.errors import BadInput
from evidence.generating import frozen, spread
from evidence.networks.blocks import Network
from evidence.networks.encoder import Codes, Encoder
from evidence.progress import chunks
from evidence.seeds import rng
from evidence.shapes import Images
from evidence.training import Losses, Samples

NETWORKS = ("encoder",)

Masks = Float[Tensor, "batch 1 height width"]  # 1 where the anchor is, else 0
Drawn = Float[Tensor, "batch code channel height width"]

AT_ONCE = 20  # images read together to be cut
TRIES = 100  # segmentations of an image; of 300 digits 7 do not come to 8 segments in 400, the others mostly in 20


class Learner(training.Learner):
    """Several codes for what an anchor shows, whose images agree with it there, and which are far from each other.

    Training images are cut into segments once, at the beginning; an anchor is a random choice of them, a new one each
    time. The loss is equation 12, reconstruction per pixel of the anchor. Saved network: ``encoder``, that of the last
    step.

    Args:
        shape: channels and size of an image.
        generator: what draws images of codes; it does not learn.
        codes: codes for an anchor. Paper: 8 for digits, 2 for faces.
        widths: channels of the convolutions. Released: three for 28×28; (64, 128, 256, 256, 256, 256) for 256×256.
        t: the distance that codes are to have from each other. Paper: 10, the root of how many numbers a latent has;
            for faces that is 22.63.
        lam: weight λ of the diversity. Paper: 1; for faces 1e-3, of intensities in [0, 1]: of those in [-1, 1] 4e-3.
        diversity: how far distances are from t as a share of it, squared (``norm``, the paper's), or how far the square
            difference of each number is from 2, squared (``elements``, of a released notebook).
        penalty: weight of the codes' mean norm. Paper: none; for faces 1e-6, likewise 4e-6.
        norm: the generator's batch normalisation, with statistics of the ``batch`` of all codes' images, as released,
            or with its ``running`` ones.
        segmentation: how images are cut; faces were not: their masks were drawn by hand.
        segments: how many there are to be; where that cannot be, what comes nearest is used.
        compactness: of SLIC.
        keep: chance of a segment to be part of an anchor. Paper: 0.5; released for faces: 0.3.
        masks: training images that are cut, drawn at random; 0 for all, as in the paper. Quickshift cuts ten a second.
        lr: learning rate of Adam.
        batch: images in a batch.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        steps: updates. A pass over MNIST, as released, is 1,875.
        validate_every: steps between validations.
        validate_count: validation images, evenly spread.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        generator: nn.Module,
        *,
        codes: int = 8,
        widths: tuple[int, ...] = (16, 32, 64),
        t: float = 10.0,
        lam: float = 1.0,
        diversity: Literal["norm", "elements"] = "norm",
        penalty: float = 0.0,
        norm: Literal["batch", "running"] = "batch",
        segmentation: Literal["quickshift", "slic"] = "quickshift",
        segments: int = 8,
        compactness: float = 20.0,
        keep: float = 0.5,
        masks: int = 2_048,
        lr: float = 1e-3,
        batch: int = 32,
        low: float = -1.0,
        high: float = 1.0,
        steps: int = 1_875,
        validate_every: int = 375,
        validate_count: int = 64,
    ):
        channels, *size = shape
        if len(size) != 2:
            raise BadInput(f"images are cut into segments in a plane, and these, of {shape}, have {len(size)} axes")
        if not hasattr(generator, "z"):
            raise BadInput(
                f"generator: a {type(generator).__name__} draws nothing from one latent; give that of a dcgan"
            )
        if codes < 2:
            raise BadInput(f"codes: two or more are far from each other, not {codes}")
        if not 0 < keep <= 1:
            raise BadInput(f"keep is a chance, above 0 and up to 1, not {keep}")
        super().__init__()
        self.encoder = Encoder(size=tuple(size), channels=channels, widths=tuple(widths), codes=codes, z=generator.z)
        self.drawing = Drawing(generator, norm)
        drawn = self.drawing(torch.zeros(1, 2, generator.z, device=machine.device()))
        if tuple(drawn.shape[2:]) != tuple(shape):
            raise BadInput(
                f"the generator draws images of {tuple(drawn.shape[2:])}, but these are of {tuple(shape)}; which was "
                "it trained on?"
            )
        self.optimisers = {"encoder": torch.optim.Adam(self.encoder.parameters(), lr=lr)}
        self.t, self.lam, self.diversity, self.penalty = t, lam, diversity, penalty
        self.segmentation, self.segments, self.compactness = segmentation, segments, compactness
        self.keep, self.masks, self.low, self.high = keep, masks, low, high
        self.batch, self.steps = batch, steps
        self.validate_every, self.validate_count = validate_every, validate_count
        self.cuts: Tensor | None = None  # segments of the images of the pool, by their place in it
        self.validation: tuple[Samples, Tensor] | None = None

    @property
    def networks(self) -> dict[str, Network]:
        return {"encoder": self.encoder}

    def pool(self, samples: Samples) -> Samples:
        """The images whose segments are known, labelled by their place among them."""
        rows = np.arange(len(samples))
        if self.masks and self.masks < len(rows):
            rows = np.sort(rng(0, "segmented").choice(rows, self.masks, replace=False))
        found, self.cuts = self.cut(samples, rows)
        return found

    def cut(self, samples: Samples, rows: np.ndarray) -> tuple[Samples, Tensor]:
        """Some samples, labelled by their place, and their segments, (sample, height, width)."""
        found, cuts = samples.some(rows, np.arange(len(rows))), []
        how = {"kind": self.segmentation, "compactness": self.compactness, "tries": TRIES}
        for part in chunks(len(rows), AT_ONCE, "cutting images into segments"):
            pictures = self.unit(found.take(np.arange(part.start, part.stop))).clamp(0, 1).cpu().numpy()
            cuts += [segmenting.cut(picture, self.segments, **how).labels.astype(np.int16) for picture in pictures]
        return found, torch.from_numpy(np.stack(cuts)).to(machine.device())

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        images, places = next(batches)
        return self.descend("encoder", self.terms(images, anchors(self.cuts[places], self.keep)))

    def terms(self, images: Images, masks: Masks) -> Losses:
        """The loss of the codes of what is shown of images."""
        with machine.autocast():
            codes = self.encoder(self.unit(images) * masks)
            drawn = self.drawing(codes)
        codes = codes.float()
        losses = {
            "reconstruction": reconstruction(drawn.float(), images, masks),
            "diversity": self.lam * DIVERSITY[self.diversity](codes, self.t),
        }
        if self.penalty:
            losses["norm"] = self.penalty * codes.norm(dim=2).mean()
        return losses

    def unit(self, images: Images) -> Images:
        """Images in [0, 1]."""
        return (images - self.low) / (self.high - self.low)

    @torch.no_grad()
    @machine.exactly()
    def validate(self, samples: Samples, i: int) -> dict[str, float]:
        """The reconstruction of anchors of validation images, the mean distance of their codes, and their mean norm."""
        if self.validation is None:
            self.validation = self.cut(samples, spread(np.arange(len(samples)), self.validate_count))
        chosen, cuts = self.validation
        found: dict[str, list[Tensor]] = {"reconstruction": [], "apart": [], "norm": []}
        for images, places in training.in_order(chosen, self.batch):
            masks = anchors(cuts[places], self.keep)
            codes = self.encoder(self.unit(images) * masks)
            found["reconstruction"].append(reconstruction(self.drawing(codes), images, masks))
            found["apart"].append(distances(codes).mean())
            found["norm"].append(codes.norm(dim=2).mean())
        return {name: float(torch.stack(values).mean()) for name, values in found.items()}


class Drawing:
    """A frozen generator that draws images of codes. No part of a learner's state: it never changes."""

    def __init__(self, generator: nn.Module, norm: Literal["batch", "running"]):
        self.generator = machine.place(frozen(generator, norm))

    def __call__(self, codes: Codes) -> Drawn:
        """An image of each code, all drawn in one batch."""
        return self.generator(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])


def anchors(cuts: Tensor, keep: float) -> Masks:
    """Each segment of an image is kept by that chance."""
    flat = cuts.flatten(1).long()
    kept = torch.rand(len(flat), int(flat.max()) + 1, device=flat.device) < keep
    return kept.gather(1, flat).view(len(cuts), 1, *cuts.shape[1:]).float()


def reconstruction(drawn: Drawn, images: Images, masks: Masks) -> Tensor:
    """The mean square difference over an anchor's pixels and channels, averaged over codes and over images, but for
    those with no anchor."""
    pixels = masks.flatten(1).sum(1) * images.shape[1]
    off = ((drawn - images.unsqueeze(1)).square() * masks.unsqueeze(1)).flatten(2).sum(2).mean(1)  # (batch,)
    return (off / pixels.clamp(min=1)).sum() / (pixels > 0).sum().clamp(min=1)


def differences(codes: Codes) -> Tensor:
    """Of each pair of an image's codes: (batch, pair, z)."""
    first, second = torch.triu_indices(codes.shape[1], codes.shape[1], 1, device=codes.device)
    return codes[:, first] - codes[:, second]


def distances(codes: Codes) -> Tensor:
    """Of each pair of an image's codes: (batch, pair)."""
    return differences(codes).norm(dim=2)


def by_norm(codes: Codes, t: float) -> Tensor:
    """How far distances are from t, as a share of it, squared: equation 12, the mean over pairs."""
    return ((distances(codes) - t) / t).square().mean()


def by_elements(codes: Codes, t: float) -> Tensor:
    """How far the square difference of each number is from 2, its mean for latents from N(0, I), squared."""
    return (differences(codes).square() - 2).square().mean()


DIVERSITY = {"norm": by_norm, "elements": by_elements}
