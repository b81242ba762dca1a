"""What learners of a generator against a discriminator have in common: losses, rates, and how generated images compare
with real ones."""

import copy
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d, binary_cross_entropy_with_logits

from evidence import machine
from evidence.augmentation import brightened, shifted
from evidence.networks.blocks import NORMALISATION
from evidence.shapes import Images, Values


def likely(verdict: Values, real: bool) -> Tensor:
    """The cross-entropy of a discriminator's verdicts, logits, with ``real``."""
    return binary_cross_entropy_with_logits(verdict.float(), torch.full_like(verdict, float(real), dtype=torch.float32))


def seen(images: Images, shift: float, brightness: float, low: float) -> Images:
    """What a discriminator sees of images: each moved by up to a share ``shift`` of a side, where ``low`` comes in, and
    brightened by up to ``brightness``."""
    if shift:
        images = machine.laid_out(shifted(images, shift, low))
    return brightened(images, brightness) if brightness else images


def fade(optimisers: Iterable[torch.optim.Optimizer], lr: float, i: int, steps: int, fading: float) -> None:
    """Set the rate of step i of ``steps``: lr, which falls evenly to nothing over the last share ``fading`` of them."""
    for optimiser in optimisers:
        optimiser.param_groups[0]["lr"] = lr * min(1.0, (1 - i / steps) / fading)


# --- how generated images compare with real ones ----------------------------------------------------------------------


def spread(rows: np.ndarray, most: int) -> np.ndarray:
    """Rows, or as many of them, evenly spread."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))]


def variation(images: Images) -> Tensor:
    """The standard deviation of a pixel over images, the root of its mean square over pixels."""
    return images.var(0).mean().sqrt()


def coarse(images: Images) -> Tensor:
    """Images as rows of coarse pixels, 8 a side or in volumes 4."""
    pool = {4: adaptive_avg_pool2d, 5: adaptive_avg_pool3d}[images.dim()]
    return pool(images, 8 if images.dim() == 4 else 4).flatten(1)


def kernel_distance(first: Tensor, second: Tensor) -> Tensor:
    """The squared maximum mean discrepancy of two samples, unbiased, with the kernel (1 + x·y / d)³ (Bińkowski et al.,
    2018, who take features of a network where these are pixels)."""
    d = first.shape[1]
    xx, yy, xy = ((1 + a @ b.T / d) ** 3 for a, b in ((first, first), (second, second), (first, second)))
    n, m = len(first), len(second)
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return within - 2 * xy.mean()


# --- a generator that no longer learns --------------------------------------------------------------------------------


def frozen(generator: nn.Module, norm: Literal["batch", "running"]) -> nn.Module:
    """A copy that does not change: its batch normalisations go by the statistics of a ``batch``, or by their
    ``running`` ones, which stay as they are."""
    generator = copy.deepcopy(generator).requires_grad_(False).eval()
    if norm == "batch":
        for layer in generator.modules():
            if isinstance(layer, tuple(NORMALISATION.values())):
                layer.train()
                layer.momentum = 0.0
    return generator
