"""medXGAN's classifier of X-rays (Dravid et al., CVPR-W 2022, released code): VGG-16 with a longer head."""

from typing import Literal

from evidence.classifying import Classification, adopt
from evidence.networks.vgg import VGG
from evidence.plateau import Plateau

NETWORKS = ("classifier",)
WEIGHTS = "EVIDENCE_VGG16"  # a file of ImageNet weights


class Learner(Classification):
    """Adam on the images as they are, at a constant rate; the network kept is the one with the lowest validation loss.

    Args:
        shape: channels and size of an image.
        width: channels of the first block of convolutions; the others have 2, 4, 8 and 8 times as many.
        hidden: units of the two dense layers of VGG-16.
        head: units of the layers between those and the logits.
        pool: places along each axis that features are averaged to, in front of the dense layers.
        dropout: share of hidden units that training leaves out.
        pretrained: take convolutions from ImageNet weights, which stay as they are, and let the dense layers start from
            them: a safetensors file under torchvision's names where the environment variable EVIDENCE_VGG16 points.
            Released: so. Without, the convolutions learn too.
        loss: the cross-entropy of the ``probabilities``, taken for logits, as released: it lies between 0.31 and 1.31,
            and its gradient fades where the network is certain. Or of the ``logits``.
        balanced: both classes weigh alike, whatever their number. Released: every image weighs 1, in a copy of the data
            in which classes are of one number.
        lr: learning rate of Adam.
        batch: images in a batch, of both classes as they come.
        steps: updates. A hundred passes over the paper's 15,000 or so X-rays are 46,800.
        validate_every: steps between validations. A pass is 468.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int = 64,
        hidden: int = 4096,
        head: tuple[int, ...] = (1024, 256, 64),
        pool: int = 7,
        dropout: float = 0.5,
        pretrained: bool = False,
        loss: Literal["probabilities", "logits"] = "probabilities",
        balanced: bool = False,
        lr: float = 2e-4,
        batch: int = 32,
        steps: int = 46_800,
        validate_every: int = 468,
    ):
        channels, *size = shape
        sizes = {"width": width, "hidden": hidden, "head": tuple(head), "pool": pool, "dropout": dropout}
        network = VGG(channels=channels, spatial_dims=len(size), **sizes)
        if pretrained:
            adopt(network, WEIGHTS, "VGG-16")
            network.features.requires_grad_(False)
        super().__init__(
            network,
            lr=lr,
            betas=(0.5, 0.999),
            batch=batch,
            steps=steps,
            validate_every=validate_every,
            plateau=Plateau(patience=0),
            loss=loss,
            balanced=balanced,
        )
