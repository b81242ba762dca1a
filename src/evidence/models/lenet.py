"""The classifier of digits that David et al. (2019, GANchors) explain, which they say is right about 99 % of them."""

from evidence.augmentation import Augmentation
from evidence.classifying import Classification
from evidence.errors import BadInput
from evidence.networks.lenet import LeNet
from evidence.plateau import Plateau
from evidence.training import Samples

NETWORKS = ("classifier",)


class Learner(Classification):
    """Adam on the images as they are, at a constant rate; the network kept is the one with the lowest validation loss.

    How the released weights were trained is not said; the rate, the batch and the steps are ours.

    Args:
        shape: channels and size of an image. Of the released weights, intensities in [-1, 1] are most often told right.
        classes: how many there are; the labels are 0 to one less.
        widths: channels of the convolutions.
        hidden: units of the first dense layer.
        lr: learning rate of Adam.
        batch: images in a batch, of all classes as they come.
        augment: how far training images are turned, moved and scaled at random: times 10°, 5 % and 10 %; 0 for none.
        low: intensity of an image's darkest pixel, to which that stretches an image again.
        high: intensity of its brightest.
        steps: updates. Ten passes over MNIST are 4,690.
        validate_every: steps between validations. A pass is 469.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        classes: int = 10,
        widths: tuple[int, ...] = (20, 50),
        hidden: int = 500,
        lr: float = 1e-3,
        batch: int = 128,
        augment: float = 0.0,
        low: float = -1.0,
        high: float = 1.0,
        steps: int = 4_690,
        validate_every: int = 469,
    ):
        channels, *size = shape
        super().__init__(
            LeNet(size=tuple(size), channels=channels, widths=tuple(widths), hidden=hidden, classes=classes),
            lr=lr,
            batch=batch,
            steps=steps,
            validate_every=validate_every,
            plateau=Plateau(patience=0),
            augmentation=Augmentation.usual(augment, low=low, high=high) if augment else None,
            classes=classes,
        )

    def pool(self, samples: Samples) -> Samples:
        """The samples as they are, if they are of no more classes than there are logits."""
        if samples.labels.max() >= len(self.weights):
            raise BadInput(
                f"classes: there is a label {samples.labels.max()} among images of {len(self.weights)} classes"
            )
        return super().pool(samples)
