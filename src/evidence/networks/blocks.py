"""Layers that several networks share, in two or three spatial dimensions."""

import math

import torch
from torch import Tensor, nn

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
UPCONVOLUTION = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORMALISATION = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
TRANSPOSED = {2: nn.functional.conv_transpose2d, 3: nn.functional.conv_transpose3d}
LARGEST = {2: nn.functional.max_pool2d_with_indices, 3: nn.functional.max_pool3d_with_indices}


class Network(nn.Module):
    """A module that remembers the keyword arguments it was made with, so that its weights can describe it."""

    def __new__(cls, **options):
        network = super().__new__(cls)
        network.__dict__["options"] = options
        return network


def initialise(layer: nn.Module) -> nn.Module:
    """He initialisation as TensorFlow's contrib drew it: a normal of variance 1.3·2/fan_in cut at two sigmas.

    The factor 1.3 makes up for the cut, so the standard deviation is that of He et al. (2015). Biases are zero.
    """
    fan_in = nn.init._calculate_correct_fan(layer.weight, "fan_in")
    sigma = math.sqrt(1.3 * 2.0 / fan_in)
    nn.init.trunc_normal_(layer.weight, std=sigma, a=-2 * sigma, b=2 * sigma)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def convolution(spatial_dims: int, inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True) -> nn.Module:
    """A convolution that keeps the size of the image."""
    return initialise(CONVOLUTION[spatial_dims](inputs, outputs, kernel, padding=kernel // 2, bias=bias))


def transposed(layer: nn.Module, images: Tensor) -> Tensor:
    """The transpose of a convolution made by ``convolution``, its bias left out: how its gradient goes back."""
    dims = images.dim() - 2
    return TRANSPOSED[dims](images, layer.weight, padding=layer.padding)


def normalisation(spatial_dims: int, channels: int) -> nn.Module:
    """Batch normalisation with TensorFlow's constants: running averages decay by 0.99 an update, epsilon 1e-3."""
    return NORMALISATION[spatial_dims](channels, eps=1e-3, momentum=0.01)


def normalised(spatial_dims: int, inputs: int, outputs: int, *, inplace: bool = False) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU. The convolution has no bias: the normalisation shifts.

    In place, ReLU is twice as fast and the network needs a third less memory, but no hook can watch it.
    """
    layer = convolution(spatial_dims, inputs, outputs, bias=False)
    return nn.Sequential(layer, normalisation(spatial_dims, outputs), nn.ReLU(inplace))


def upsampled(spatial_dims: int, inputs: int, outputs: int) -> nn.Sequential:
    """Transposed convolution that doubles the size, batch normalisation, ReLU in place."""
    layer = UPCONVOLUTION[spatial_dims](inputs, outputs, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(initialise(layer), normalisation(spatial_dims, outputs), nn.ReLU(inplace=True))


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
        space = pooled.new_zeros(len(pooled), math.prod(size), pooled.shape[1])  # (image, place, channel)
        values, places = (each.flatten(2).transpose(1, 2) for each in (pooled, places))
        return space.scatter_(1, places, values).transpose(1, 2).unflatten(2, size)


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
