"""medXGAN's classifier of brain slices (Dravid et al., CVPR-W 2022, released code): a small convolutional network."""

from functools import partial
from typing import Literal

from evidence.augmentation import mirrored
from evidence.classifying import Classification
from evidence.networks.simple_cnn import SimpleCNN
from evidence.plateau import Plateau

NETWORKS = ("classifier",)


class Learner(Classification):
    """Adam on mirrored images, at a constant rate; the network kept is the one with the lowest validation loss.

    The released weights are those after 5,175 updates, in the midst of a pass; how they were chosen is not said.

    Args:
        shape: channels and size of an image.
        widths: channels of the convolutions.
        kernels: sizes of the convolutions, which have no frame; each is followed by a pool.
        dropout: share of numbers that training leaves out after each pool.
        loss: the cross-entropy of the ``probabilities``, taken for logits, as released: it lies between 0.31 and 1.31,
            and its gradient fades where the network is certain. Or of the ``logits``.
        balanced: both classes weigh alike, whatever their number. Released: every image weighs 1.
        lr: learning rate of Adam.
        batch: images in a batch, of both classes as they come.
        horizontal: mirror half of the images left to right.
        vertical: mirror half of them upside down.
        steps: updates. Fifty passes over the released code's 2,870 slices are 4,450.
        validate_every: steps between validations. A pass is 89.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        widths: tuple[int, ...] = (16, 32, 32),
        kernels: tuple[int, ...] = (3, 6, 6),
        dropout: float = 0.2,
        loss: Literal["probabilities", "logits"] = "probabilities",
        balanced: bool = False,
        lr: float = 2e-4,
        batch: int = 32,
        horizontal: bool = True,
        vertical: bool = True,
        steps: int = 4_450,
        validate_every: int = 89,
    ):
        channels, *size = shape
        sizes = {"widths": tuple(widths), "kernels": tuple(kernels), "dropout": dropout}
        super().__init__(
            SimpleCNN(size=tuple(size), channels=channels, **sizes),
            lr=lr,
            betas=(0.5, 0.999),
            batch=batch,
            steps=steps,
            validate_every=validate_every,
            plateau=Plateau(patience=0),
            augmentation=partial(mirrored, horizontal=horizontal, vertical=vertical),
            loss=loss,
            balanced=balanced,
        )
