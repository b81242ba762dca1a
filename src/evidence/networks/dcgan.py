"""DCGAN's two networks (Radford et al., 2016): images out of a latent, and their judge. At 28×28 they are those that
David et al. (2019, GANchors) sample MNIST from, layer by layer; sizes and widths are arguments."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from evidence.errors import BadInput
from evidence.networks.blocks import CONVOLUTION, NORMALISATION, UPCONVOLUTION, Network, drawn_as_dcgan
from evidence.networks.lean import Doubling
from evidence.networks.relu import ReLU
from evidence.shapes import Images, Values

Latents = Tensor  # float32 (batch, z)


class Generator(Network):
    """Latents (batch, z) to images: transposed convolutions, from one place to four a side, then twice as many; tanh.

    The last one either doubles once more, to a side of 4·2ⁿ for n widths, or mixes the channels of each place and cuts
    an even frame off 4·2ⁿ⁻¹: 28×28 is what is left of 32×32. Published: 3,573,696 parameters for 1×28×28.

    Args:
        size: of an image.
        channels: of an image.
        z: numbers in a latent.
        widths: channels of the transposed convolutions but the last.
        low: intensity of the darkest pixel.
        high: intensity of the brightest.
    """

    def __init__(
        self,
        *,
        size: tuple[int, ...],
        channels: int = 1,
        z: int = 100,
        widths: tuple[int, ...] = (512, 256, 128, 64),
        low: float = -1.0,
        high: float = 1.0,
    ):
        super().__init__()
        self.z, self.low, self.high, self.dims = z, low, high, len(size)
        first, *others = widths
        layers: list[nn.Module] = [_first(self.dims, z, first), NORMALISATION[self.dims](first), ReLU()]
        inputs = first
        for width in others:
            layers += [_doubling(self.dims, inputs, width), NORMALISATION[self.dims](width), ReLU()]
            inputs = width
        layers += [_last(size, inputs, channels, len(widths)), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(drawn_as_dcgan)

    def forward(self, latents: Latents) -> Images:
        if latents.shape[1] != self.z:
            raise BadInput(
                f"latents of {latents.shape[1]} numbers do not fit a generator of {self.z}; were they found with "
                "another generator? Find them again with this one"
            )
        images = self.layers(latents[(...,) + (None,) * self.dims])
        return images if (self.low, self.high) == (-1.0, 1.0) else self.low + (images + 1) * (self.high - self.low) / 2


class Discriminator(Network):
    """A logit an image, high where it seems real: convolutions of stride 2, the last of which covers what is left.

    The sigmoid is in the loss. Published: 661,248 parameters for 1×28×28, where three places a side are left; 64×64
    takes four widths.

    Args:
        size: of an image.
        channels: of an image.
        widths: channels of the convolutions but the last.
    """

    def __init__(self, *, size: tuple[int, ...], channels: int = 1, widths: tuple[int, ...] = (64, 128, 256)):
        super().__init__()
        dims, inputs, layers = len(size), channels, []
        for number, width in enumerate(widths):
            layers.append(CONVOLUTION[dims](inputs, width, 4, stride=2, padding=1, bias=False))
            layers += [NORMALISATION[dims](width)] * (number > 0)
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = width
        left = [side // 2 ** len(widths) for side in size]
        if not all(2 <= side <= 4 for side in left):
            raise BadInput(
                f"widths: {len(widths)} of them leave {_by(left)} places of images of {_by(size)}, and the last "
                "convolution of a discriminator covers two to four a side; 28×28 takes three widths, 64×64 four"
            )
        frame = tuple(int(side < 4) for side in left)
        layers.append(CONVOLUTION[dims](inputs, 1, 4, stride=2, padding=frame, bias=False))
        self.layers = nn.Sequential(*layers)
        self.apply(drawn_as_dcgan)

    def forward(self, images: Images) -> Values:
        return self.layers(images).flatten()


class Twofold(nn.ConvTranspose2d):
    """A transposed convolution that doubles the size: kernel 4, stride 2, frame 1, no bias.

    From few places it is products of matrices on a CPU. There torch's own takes up to three times as long, forward and
    for the gradient of the weights; from 8×8 places it is no slower.
    """

    FEW = 16  # places

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.device.type != "cpu" or images.shape[2:].numel() > self.FEW:
            return super().forward(images)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            reduced = torch.get_autocast_dtype("cpu")
            images, weight = images.to(reduced), weight.to(reduced)
        doubled = _Twofold.apply(images, weight)
        if self.bias is None:
            return doubled
        return doubled + self.bias.to(doubled.dtype).view(-1, 1, 1)  # one comes by folding


class _Twofold(torch.autograd.Function):
    """Each place of the images adds to 4×4 pixels of twice as many a side, within a frame that is cut off. In bfloat16
    the four sums of a pixel are rounded one by one, where torch rounds once."""

    @staticmethod
    def forward(context, images: Tensor, weight: Tensor) -> Tensor:
        context.save_for_backward(images, weight)
        (count, _, height, width), outputs = images.shape, weight.shape[1]
        added = (_by_place(images) @ _kernel(weight)).view(count, height, width, 2, 2, 2, 2, outputs)
        framed = added.new_zeros(count, height + 1, 2, width + 1, 2, outputs)
        for i, j in itertools.product((0, 1), repeat=2):  # the 4×4 pixels are 2×2 times 2×2
            framed[:, i : i + height, :, j : j + width] += added[:, :, :, i, :, j].transpose(2, 3)
        return framed.flatten(3, 4).flatten(1, 2)[:, 1:-1, 1:-1].contiguous().movedim(-1, 1)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        images, weight = context.saved_tensors
        framed = pad(gradient.movedim(1, -1), (0, 0, 1, 1, 1, 1))
        reached = framed.unfold(1, 4, 2).unfold(2, 4, 2).movedim(3, -1).flatten(3).flatten(0, 2)  # by each place
        back = kernel = None
        if context.needs_input_grad[0]:
            back = (reached @ _kernel(weight).T).view(images.movedim(1, -1).shape).movedim(-1, 1)
        if context.needs_input_grad[1]:
            kernel = (_by_place(images).T @ reached).unflatten(1, (4, 4, -1)).movedim(-1, 1)
        return back, kernel


def _by_place(images: Tensor) -> Tensor:
    """(image · place, channel), a view where channels lie last in memory."""
    return images.movedim(1, -1).flatten(0, 2)


def _kernel(weight: Tensor) -> Tensor:
    """(input, 4·4 pixels · output), likewise."""
    return weight.movedim(1, -1).flatten(1)


def _first(dims: int, inputs: int, outputs: int) -> nn.Module:
    """From one place to four a side. From one place a stride says nothing, and a Doubling is fast."""
    return (
        Doubling(inputs, outputs, 4, bias=False) if dims == 2 else UPCONVOLUTION[dims](inputs, outputs, 4, bias=False)
    )


def _doubling(dims: int, inputs: int, outputs: int) -> nn.Module:
    """Twice as many places a side."""
    if dims == 2:
        return Twofold(inputs, outputs)
    return UPCONVOLUTION[dims](inputs, outputs, 4, stride=2, padding=1, bias=False)


def _last(size: tuple[int, ...], inputs: int, channels: int, widths: int) -> nn.Module:
    """From the places that so many widths lead to, to the image: twice as many a side, or fewer by an even frame."""
    dims, side = len(size), 2 * 2**widths
    if set(size) == {2 * side}:
        return _doubling(dims, inputs, channels)
    if not all(side // 2 < each <= side and (side - each) % 2 == 0 for each in size):
        raise BadInput(
            f"widths: {widths} of them draw sides of {2 * side}, or of {side} less an even frame, but these images are "
            f"of {_by(size)}; one more doubles both, and four draw 28×28 or 64×64"
        )
    return UPCONVOLUTION[dims](inputs, channels, 1, padding=tuple((side - each) // 2 for each in size), bias=False)


def _by(size: list[int] | tuple[int, ...]) -> str:
    return "×".join(map(str, size))
