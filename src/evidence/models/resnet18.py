"""The classifier of smiles that David et al. (2019, GANchors, released code) explain: ResNet-18 with a hidden layer."""

from functools import partial

from evidence.augmentation import mirrored
from evidence.classifying import Classification, adopt
from evidence.errors import BadInput
from evidence.networks.resnet import ResNet18
from evidence.plateau import Plateau

NETWORKS = ("classifier",)
WEIGHTS = "EVIDENCE_RESNET18"  # a file of ImageNet weights


class Learner(Classification):
    """Adam on mirrored images, at a constant rate; the network kept is the one with the lowest validation loss.

    Args:
        shape: channels and size of an image.
        layers: blocks in each of the four stages. Paper: ResNet-18.
        width: channels of the stem.
        hidden: units of the layer in front of the last.
        dropout: share of them that training leaves out.
        stride: of the stem. Paper: 2; at 64×64 the last stage would then have four places, with 1 it has sixteen.
        pretrained: start from ImageNet weights, a safetensors file under torchvision's names where the environment
            variable EVIDENCE_RESNET18 points. Released: so.
        lr: learning rate of Adam.
        batch: images in a batch, of both classes as they come.
        horizontal: mirror half of the images left to right.
        steps: updates. Five passes over the paper's 24,000 faces are 935.
        validate_every: steps between validations. A pass is 187.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        layers: tuple[int, ...] = (2, 2, 2, 2),
        width: int = 64,
        hidden: int = 64,
        dropout: float = 0.5,
        stride: int = 2,
        pretrained: bool = False,
        lr: float = 1e-3,
        batch: int = 128,
        horizontal: bool = True,
        steps: int = 935,
        validate_every: int = 187,
    ):
        if len(layers) != 4:
            raise BadInput(f"layers: a residual network has four stages, not {len(layers)}; ResNet-18 is [2, 2, 2, 2]")
        channels, *size = shape
        sizes = {"layers": tuple(layers), "width": width, "hidden": hidden, "dropout": dropout, "stride": stride}
        network = ResNet18(channels=channels, spatial_dims=len(size), **sizes)
        if pretrained:
            adopt(network, WEIGHTS, "ResNet-18")
        super().__init__(
            network,
            lr=lr,
            batch=batch,
            steps=steps,
            validate_every=validate_every,
            plateau=Plateau(patience=0),
            augmentation=partial(mirrored, horizontal=True, vertical=False) if horizontal else None,
        )
