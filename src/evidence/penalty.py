"""The gradient penalty of WGAN-GP (Gulrajani et al., 2017, section 4)."""

from collections.abc import Callable

import torch
from torch import Tensor

from evidence.shapes import Images, Values


def gradient_penalty(judge: Callable[[Images], Values], real: Images, generated: Images) -> Tensor:
    """Mean of (‖∇D‖ - 1)² at a random place between each real and its generated image, one norm an image."""
    where = torch.rand((len(real),) + (1,) * (real.dim() - 1), device=real.device, dtype=real.dtype)
    mixed = torch.lerp(real, generated, where).requires_grad_()
    (slope,) = torch.autograd.grad(judge(mixed).sum(), mixed, create_graph=True)
    return from_one(slope, tuple(range(1, slope.dim())))


def from_one(slope: Images, axes: int | tuple[int, ...]) -> Tensor:
    """Mean of (‖·‖ - 1)², norms over these axes."""
    norm = (slope.square().sum(axes) + 1e-12).sqrt()  # the root of 0 has no derivative
    return (norm - 1).square().mean()
