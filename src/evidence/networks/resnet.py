"""Classifiers whose body is MONAI's residual network: that of Charachon et al. (2021), with one number for two classes,
and that of David et al. (2019, GANchors), with two."""

import torch
from monai.networks.nets.resnet import ResNet as Body
from torch import nn

from evidence.networks.blocks import Network
from evidence.shapes import Images, Logits


class Residual(Network):
    """A body under torchvision's names, so that ImageNet weights fit; what follows it, each network has for itself."""

    body: Body

    @staticmethod
    def of(block: str, layers: tuple[int, ...], width: int, channels: int, stride: int, spatial_dims: int) -> Body:
        """A body of ``basic`` or ``bottleneck`` blocks, with stride in a 3×3 convolution."""
        return Body(
            block,
            list(layers),
            [width * 2**stage for stage in range(4)],
            spatial_dims=spatial_dims,
            n_input_channels=channels,
            conv1_t_size=7,
            conv1_t_stride=stride,
            feed_forward=False,
            bias_downsample=False,
        )

    def pyramid(self, images: Images) -> list[torch.Tensor]:
        """Features of the stem, at the image's size over its stride, and of the four stages, each of half the size."""
        body = self.body
        found = [body.act(body.bn1(body.conv1(images)))]
        x = body.maxpool(found[0])
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            found.append(x)
        return found

    def averages(self, images: Images) -> torch.Tensor:
        """The last features, averaged over space: (batch, channel)."""
        return self.pyramid(images)[-1].flatten(2).mean(2)

    @property
    def last_stage(self) -> nn.Module:
        """The fourth stage, whose features Grad-CAM weights."""
        return self.body.layer4

    def adopt(self, weights: dict[str, torch.Tensor]) -> None:
        """Take over ImageNet weights under torchvision's names, those of the stem summed over the colours where there
        is one channel."""
        body = {key: value for key, value in weights.items() if not key.startswith("fc.")}
        stem = body["conv1.weight"]
        if stem.shape[1] != self.body.conv1.weight.shape[1]:
            body["conv1.weight"] = stem.sum(1, keepdim=True)
        self.body.load_state_dict(body)


class ResNet(Residual):
    """ResNet-50 by default, its stem for ``channels`` channels; global average, dropout, a hidden layer, one number z.

    The logits are 0 and z, whose softmax is the sigmoid of z. The paper repeats a grey image in three channels; summing
    the stem's weights over them is the same function. It cites the pre-activation variant; this is the one with stride
    in the 3×3 convolution, for which ImageNet weights are around.

    Args:
        layers: blocks a stage.
        width: channels of the stem; a stage has 4, 8, 16, 32 times as many.
        hidden: units of the hidden layer.
        dropout: share of features that training leaves out in front of it.
        stride: of the stem. With 1 each stage sees twice as finely: for small images.
    """

    def __init__(
        self,
        *,
        channels: int = 1,
        layers: tuple[int, ...] = (3, 4, 6, 3),
        width: int = 64,
        hidden: int = 128,
        dropout: float = 0.3,
        stride: int = 2,
        spatial_dims: int = 2,
    ):
        super().__init__()
        self.body = self.of("bottleneck", layers, width, channels, stride, spatial_dims)
        dense = nn.Linear(32 * width, hidden)
        nn.init.kaiming_uniform_(dense.weight, nonlinearity="relu")
        nn.init.zeros_(dense.bias)
        self.head = nn.Sequential(nn.Dropout(dropout), dense, nn.LeakyReLU(0.3), nn.Linear(hidden, 1))

    def forward(self, images: Images) -> Logits:
        z = self.head(self.averages(images))
        return torch.cat([torch.zeros_like(z), z], 1)


class ResNet18(Residual):
    """ResNet-18 by default; global average, a hidden layer, dropout, two logits. Without them 11,176,512 parameters.

    Args:
        layers: blocks a stage.
        width: channels of the stem; a stage has 1, 2, 4, 8 times as many.
        hidden: units of the hidden layer.
        dropout: share of them that training leaves out.
        stride: of the stem. With 1 each stage sees twice as finely: for small images.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        layers: tuple[int, ...] = (2, 2, 2, 2),
        width: int = 64,
        hidden: int = 64,
        dropout: float = 0.5,
        stride: int = 2,
        spatial_dims: int = 2,
    ):
        super().__init__()
        self.body = self.of("basic", layers, width, channels, stride, spatial_dims)
        self.head = nn.Sequential(nn.Linear(8 * width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 2))

    def forward(self, images: Images) -> Logits:
        return self.head(self.averages(images))
