"""ReLU in place, in bfloat16 on a CPU as whole numbers: the same function, four times as fast there, and an eighth of a
training step of VA-GAN less.

The sign of a bfloat16 number is that of the int16 with the same bits, so whole numbers tell what is above zero; torch
makes each a float32 and back. But for one thing: a NaN, which torch writes with its sign bit set, becomes zero. The
weight, or the statistic, that it comes from stays one, and training refuses to save such.
"""

import torch
from torch import Tensor, nn


class ReLU(nn.ReLU):
    """The positive part, in place."""

    def __init__(self):
        super().__init__(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        return _ReLU.apply(images) if as_integers(images) else super().forward(images)


def gated(gradient: Tensor, images: Tensor) -> Tensor:
    """The gradient where these images are positive, else 0: the way back through ReLU; differentiable again."""
    return _Gate.apply(gradient, images)


def as_integers(images: Tensor) -> bool:
    """Whether these are compared with zero as whole numbers."""
    return images.dtype == torch.bfloat16 and images.device.type == "cpu"


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(context, images: Tensor) -> Tensor:
        images.view(torch.int16).clamp_(min=0)
        context.mark_dirty(images)
        context.save_for_backward(images)
        return images

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return gated(gradient, *context.saved_tensors)


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(context, gradient: Tensor, images: Tensor) -> Tensor:
        context.save_for_backward(images)
        if not (as_integers(images) and as_integers(gradient)):
            return torch.ops.aten.threshold_backward(gradient, images, 0)
        bits = torch.ops.aten.threshold_backward(gradient.view(torch.int16), images.view(torch.int16), 0)
        return bits.view(torch.bfloat16)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return gated(gradient, *context.saved_tensors), None
