"""The classifiers that the baseline methods explain (Baumgartner et al., CVPR 2018, section 4 and released code)."""

import math
from typing import Literal

from evidence.classifying import Classification
from evidence.errors import BadInput
from evidence.networks.c3d import Classifier
from evidence.plateau import Plateau

NETWORKS = ("classifier",)


class Learner(Classification):
    """Softmax cross-entropy with Adam; the network kept is the one with the lowest validation cross-entropy.

    Args:
        shape: channels and size of an image.
        head: ``dense`` for the classifier of the gradient methods, ``cam`` for the one of class activation maps,
            ``convolution`` for the one of the 3D experiment (with ``widest=256``).
        steps: training steps at most. The authors set no limit and stopped by hand.
        patience: validations without improvement after which training ends; 0 for never.
        least: what counts as an improvement for ``patience``. Where classes can be told apart for certain, the
            cross-entropy falls for ever, by less and less.
        lr: learning rate of Adam. Released: 1e-3; in 3D 1e-4.
        batch: images in a batch, of both classes as they come.
        validate_every: steps between validations.
        classes: number of classes.
        width: channels of the first layer.
        widest: no layer has more channels.
        last_block: whether there is a fifth block; the authors' alternative in 3D has none.
        hidden: units of the dense head's hidden layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        head: Literal["dense", "cam", "convolution"] = "dense",
        steps: int = 10_000,
        patience: int = 20,
        least: float = 0.0,
        lr: float = 1e-3,
        batch: int = 30,
        validate_every: int = 100,
        classes: int = 2,
        width: int = 32,
        widest: int = 512,
        last_block: bool = True,
        hidden: int = 512,
    ):
        if classes < 2:
            raise BadInput(f"a classifier tells two classes or more apart, not {classes}")
        channels, *size = shape
        sizes = {"width": width, "widest": widest, "last_block": last_block, "hidden": hidden}
        super().__init__(
            Classifier(size=tuple(size), channels=channels, head=head, classes=classes, **sizes),
            lr=lr,
            batch=batch,
            steps=steps,
            validate_every=validate_every,
            plateau=Plateau(patience, floor=math.inf, least=least),
            classes=classes,
        )
