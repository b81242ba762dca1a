"""medXGAN's classifier of X-rays (Dravid et al., CVPR-W 2022, released code): VGG-16 (Simonyan and Zisserman, 2015)
with a longer head."""

import itertools
from collections.abc import Mapping

from torch import Tensor, nn

from evidence.networks.blocks import CONVOLUTION, Network
from evidence.networks.lean import MaxPool
from evidence.shapes import Images, Logits

BLOCKS = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels of the convolutions, in widths of the first
AVERAGE = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}


class VGG(Network):
    """Thirteen 3×3(×3) convolutions with ReLU, five pools, an average to ``pool`` places along each axis, dense layers.

    Returns logits; the released network returns their softmax. ``features`` and ``classifier`` are named, numbered and
    sized as torchvision's, without its last layer, in whose place ``head`` is. A pool rounds odd sizes up, where
    torchvision's rounds down. First weights are He's: no normalisation would make up for smaller ones.

    Args:
        channels: of an image.
        width: channels of the first block; the others have 2, 4, 8 and 8 times as many.
        hidden: units of the two dense layers of VGG-16.
        head: units of the layers between those and the logits.
        pool: places along each axis that features are averaged to.
        dropout: share of hidden units that training leaves out.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        width: int = 64,
        hidden: int = 4096,
        head: tuple[int, ...] = (1024, 256, 64),
        pool: int = 7,
        dropout: float = 0.5,
        spatial_dims: int = 2,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        for block in BLOCKS:
            for factor in block:
                outputs = factor * width
                layers += [CONVOLUTION[spatial_dims](channels, outputs, 3, padding=1), nn.ReLU()]
                channels = outputs
            layers.append(MaxPool())
        self.features = nn.Sequential(*layers)
        self.average = AVERAGE[spatial_dims](pool)
        self.classifier = nn.Sequential(
            nn.Linear(channels * pool**spatial_dims, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        units = itertools.pairwise((hidden, *head, 2))
        dense = [layer for a, b in units for layer in (nn.Linear(a, b), nn.ReLU())]
        self.head = nn.Sequential(*dense[:-1])
        self.apply(_drawn)

    def forward(self, images: Images) -> Logits:
        return self.head(self.classifier(self.average(self.features(images)).flatten(1)))

    @property
    def last_stage(self) -> nn.Module:
        """The last convolution's ReLU, in front of the last pool, whose output Grad-CAM weights: 512×8×8 at 128×128."""
        return self.features[-2]

    def adopt(self, weights: Mapping[str, Tensor]) -> None:
        """Take over ImageNet weights under torchvision's names, those of the first layer summed over the colours where
        there is one channel; the head stays as it is."""
        state = {key: value for key, value in weights.items() if not key.startswith("classifier.6.")}
        first = state["features.0.weight"]
        if first.shape[1] != self.features[0].weight.shape[1]:
            state["features.0.weight"] = first.sum(1, keepdim=True)
        kept = {f"head.{key}": value for key, value in self.head.state_dict().items()}
        self.load_state_dict({**state, **kept})


def _drawn(layer: nn.Module) -> None:
    """First weights as He et al. (2015) draw them. Cutting them at two sigmas would take a minute of a core."""
    if isinstance(layer, (nn.Linear, *CONVOLUTION.values())):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
