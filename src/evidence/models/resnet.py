"""The classifier that Charachon et al. (2021, section 4.1) explain: a residual network, here from MONAI."""

from evidence.augmentation import Augmentation
from evidence.classifying import Classification, adopt
from evidence.errors import BadInput
from evidence.networks.resnet import ResNet
from evidence.plateau import Plateau

NETWORKS = ("classifier",)
WEIGHTS = "EVIDENCE_RESNET50"  # a file of ImageNet weights


class Learner(Classification):
    """Cross-entropy, both classes weighing alike, with Adam on augmented images; the network kept is the one with the
    lowest validation loss.

    Args:
        shape: channels and size of an image.
        layers: blocks in each of the four stages. Paper: ResNet-50.
        width: channels of the stem.
        hidden: units of the layer in front of the last.
        dropout: share of features that training leaves out in front of that.
        stride: of the stem. Paper: 2; at 64×64 the last stage would then have four places, with 1 it has sixteen.
        pretrained: start from ImageNet weights, a safetensors file under torchvision's names where the environment
            variable EVIDENCE_RESNET50 points. Paper: so.
        lr: learning rate of Adam; it falls to 0.3 of it after ``patience`` validations without a better loss, and
            training ends where it would fall below 1e-5.
        batch: images in a batch.
        augment: how far training images are turned, moved and scaled at random: times 10°, 5 % and 10 %.
        horizontal: mirror half of them left to right.
        vertical: mirror half of them upside down.
        low: intensity of an image's darkest pixel.
        high: intensity of its brightest.
        steps: updates at most. Thirty passes over the paper's brain slices are 44,000.
        validate_every: steps between validations. A pass is 1,466.
        patience: see ``lr``; 0 for a constant rate and all steps.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        layers: tuple[int, ...] = (3, 4, 6, 3),
        width: int = 64,
        hidden: int = 128,
        dropout: float = 0.3,
        stride: int = 2,
        pretrained: bool = False,
        lr: float = 1e-4,
        batch: int = 32,
        augment: float = 1.0,
        horizontal: bool = True,
        vertical: bool = True,
        low: float = 0.0,
        high: float = 1.0,
        steps: int = 44_000,
        validate_every: int = 1_466,
        patience: int = 3,
    ):
        if len(layers) != 4:
            raise BadInput(f"layers: a residual network has four stages, not {len(layers)}; ResNet-50 is [3, 4, 6, 3]")
        channels, *size = shape
        sizes = {"layers": tuple(layers), "width": width, "hidden": hidden, "dropout": dropout, "stride": stride}
        network = ResNet(channels=channels, spatial_dims=len(size), **sizes)
        if pretrained:
            adopt(network, WEIGHTS, "ResNet-50")
        super().__init__(
            network,
            lr=lr,
            batch=batch,
            steps=steps,
            validate_every=validate_every,
            plateau=Plateau(patience),
            augmentation=Augmentation.usual(augment, horizontal=horizontal, vertical=vertical, low=low, high=high),
            balanced=True,
        )
