"""The same functions as torch's own in less time or memory, tested against those, gradients of gradients included."""

import copy
import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from evidence.networks.blocks import CONVOLUTION, NORMALISATION, UPCONVOLUTION

TRANSPOSED = {2: nn.functional.conv_transpose2d, 3: nn.functional.conv_transpose3d}
NORMALISE, ENLARGE = tuple(NORMALISATION.values()), tuple(UPCONVOLUTION.values())
CONVOLVE = (*CONVOLUTION.values(), *ENLARGE)
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
LARGEST = {2: nn.functional.max_pool2d_with_indices, 3: nn.functional.max_pool3d_with_indices}


class MaxPool(nn.Module):
    """Max-pooling by two. An odd size is rounded up, as TensorFlow's SAME does.

    It remembers the places of the maxima and nothing else: torch's own keeps its input for the backward pass too, which
    in 3D is the largest tensor of a critic.
    """

    def forward(self, images: Tensor) -> Tensor:
        return _MaxPool.apply(images)

    @staticmethod
    def places(images: Tensor) -> tuple[Tensor, Tensor]:
        """The maxima, and their places in the flattened space of the images."""
        return LARGEST[images.dim() - 2](images, 2, ceil_mode=True)

    @staticmethod
    def spread(pooled: Tensor, places: Tensor, size: tuple[int, ...]) -> Tensor:
        """The transpose of a pool: each value goes back to the place of its maximum, in ``size`` zeros."""
        return _Spread.apply(pooled, places, size)


class _MaxPool(torch.autograd.Function):
    @staticmethod
    def forward(context, images: Tensor) -> Tensor:
        pooled, places = MaxPool.places(images)
        context.size = images.shape[2:]
        context.save_for_backward(places)
        return pooled

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return MaxPool.spread(gradient, *context.saved_tensors, context.size)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(context, pooled: Tensor, places: Tensor, size: tuple[int, ...]) -> Tensor:
        context.save_for_backward(places)
        # what a number is does not matter, and scatter is slow in bfloat16
        bits = pooled.view(BITS[pooled.element_size()])
        space = bits.new_zeros(len(bits), math.prod(size), bits.shape[1])
        with _any_order(bits.is_cuda):  # no two maxima are at one place
            space.scatter_(1, _rows(places), _rows(bits))
        return space.view(pooled.dtype).transpose(1, 2).unflatten(2, size)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None, None]:
        (places,) = context.saved_tensors
        return _rows(gradient).gather(1, _rows(places)).transpose(1, 2).unflatten(2, places.shape[2:]), None, None


@contextmanager
def _any_order(on_gpu: bool) -> Iterator[None]:
    """For what has one result in whichever order it is done, though a GPU would sort it first, to be sure of that."""
    if not (on_gpu and torch.are_deterministic_algorithms_enabled()):
        yield
        return
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True, warn_only=warn_only)


def _rows(images: Tensor) -> Tensor:
    """(image, place, channel): a view where channels lie last in memory."""
    return images.flatten(2).transpose(1, 2)


class Doubling(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 without a frame; from a single place it is a product of matrices.

    There torch's own takes ten times as long as its arithmetic on a CPU. Of more places, torch's is the faster: done as
    a convolution whose channels become places, or as four of them, it takes up to twice as long with its gradients.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool = True):
        super().__init__(inputs, outputs, kernel, stride=2, bias=bias)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2:].numel() > 1:
            return super().forward(images)
        kernel = self.weight.movedim(1, -1)  # channels last, as it lies
        found = (images.flatten(1) @ kernel.flatten(1)).unflatten(1, kernel.shape[1:]).movedim(-1, 1)
        return found if self.bias is None else found + self.bias.to(found.dtype).view(-1, 1, 1)


class Dropout(nn.Module):
    """Leaves out a share of the numbers while training, and scales the others up; on a CPU from a byte of chance each.

    There torch draws a double for each number, which in a discriminator of dropped-out convolutions is a quarter of a
    step. A share is therefore a multiple of 1/256: 0.5 is exact, 0.3 is 0.301.
    """

    def __init__(self, share: float = 0.5):
        super().__init__()
        self.share = share

    def forward(self, images: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return images
        if images.device.type != "cpu":
            return nn.functional.dropout(images, self.share)
        bytes_left_out = round(256 * self.share)
        return images * (chance(images) >= bytes_left_out).to(images.dtype).mul_(256 / (256 - bytes_left_out))


def chance(like: Tensor) -> Tensor:
    """A uniform byte for each number of a tensor, in its layout; eight of them from each draw of 64 bits."""
    found = torch.empty_like(like, dtype=torch.uint8)
    count = found.numel()
    draws = torch.empty(-(-count // 8), dtype=torch.int64, device=like.device)
    draws.random_(torch.iinfo(torch.int64).min, None)
    found.as_strided((count,), (1,)).copy_(draws.view(torch.uint8)[:count])
    return found


def joined(first: Tensor, second: Tensor) -> Tensor:
    """The channels of both. Their gradients come back as tensors of their own: torch's would be views of one.

    Rows of such a view have gaps, over which bfloat16 kernels fall back to one number at a time, thirty times slower.
    """
    return _Joined.apply(first, second)


class _Joined(torch.autograd.Function):
    @staticmethod
    def forward(context, first: Tensor, second: Tensor) -> Tensor:
        context.channels = [first.shape[1], second.shape[1]]
        return torch.cat([first, second], dim=1)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(
            part.clone(memory_format=torch.preserve_format) for part in gradient.split(context.channels, dim=1)
        )


def transposed(layer: nn.Module, images: Tensor) -> Tensor:
    """The transpose of a convolution that keeps the size, its bias left out: how a gradient goes back through it."""
    dims = images.dim() - 2
    return TRANSPOSED[dims](images, layer.weight, padding=layer.padding)


def folded(network: nn.Module) -> nn.Module:
    """A copy for evaluation, its batch normalisations worked into the layers before them: the same function, faster.

    Which layer stands before one is known in a sequence, and where they are called conv1 and bn1, as in a ResNet. A
    normalisation of something else stays.
    """
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        for first, second in _neighbours(module):
            before, layer = getattr(module, first), getattr(module, second)
            if isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
                before = fuse_linear_bn_eval(before, layer)
            elif isinstance(layer, NORMALISE) and isinstance(before, CONVOLVE):
                before = fuse_conv_bn_eval(before, layer, transpose=isinstance(before, ENLARGE))
            else:
                continue
            setattr(module, first, before)
            setattr(module, second, nn.Identity())
    return network


def _neighbours(module: nn.Module) -> list[tuple[str, str]]:
    """Names of children, one of which is certain to follow the other."""
    names = [name for name, _ in module.named_children()]
    if isinstance(module, nn.Sequential):
        return list(itertools.pairwise(names))
    pairs = [(name, f"bn{name.removeprefix('conv')}") for name in names if name.startswith("conv")]
    return [pair for pair in pairs if pair[1] in names]
