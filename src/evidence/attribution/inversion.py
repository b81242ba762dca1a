"""Inversion: the latents whose image is a given one (Dravid et al., CVPR-W 2022, section 3, equation 5).

Other methods start from what it finds: the table has the latents, how near they come, and whether that is near enough.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from evidence import inverting
from evidence.networks.filters import grey
from evidence.networks.log_odds import LogOdds
from evidence.resuming import Keeper
from evidence.shapes import Images, Maps


def attribute(
    images: Images,
    generator: nn.Module,
    classifier: nn.Module,
    streams: Sequence[int],
    keeper: Keeper,
    encoder: nn.Module | None = None,
    *,
    optimiser: Literal["adam", "sgd"] = "adam",
    initial: Literal["zeros", "normal", "encoder"] = "zeros",
    lr: float = 0.01,
    mse: float = 4.0,
    bce: float = 1.0,
    prior: float = 0.0,
    negative: float = 0.0,
    decay: bool = False,
    steps: int = 10_000,
    patience: int = 0,
    least: float = 1e-4,
    tolerance: float = 0.0,
) -> tuple[Maps, dict[str, Tensor]]:
    """The map is the reconstruction, grey.

    Columns: ``latents`` (z1 + z2 numbers), ``mse`` and ``bce``, the two terms without their weights, ``before`` and
    ``after``, the classifier's probability of class 1 for the image and its reconstruction, ``iterations``, ``valid``.

    Args:
        optimiser: ``adam`` with decays of 0.5 and 0.999, as released, or plain descent (``sgd``), as the paper says.
        initial: where z1 starts: at ``zeros``, as released, or drawn from N(0, I), as the paper says; z2 is drawn. Or
            where the ``encoder`` that learnt with the generator puts the image, z1 and z2 alike, ours.
        lr: learning rate. Released: 0.01.
        mse: weight of the mean square difference to the image, of intensities in [-1, 1]. Paper: 1; released: 4 for
            X-rays, for MRI nothing but this term.
        bce: weight of the cross-entropy of the reconstruction's probability of class 1 with the image's.
        prior: weight of the mean square of all latents, ours: how unlikely they are under N(0, I). Without it z1 leaves
            what training drew, and may show by itself what is of class 1: the negative is none then.
        negative: weight of -log(1 - p1) of the negative, which the same z1 draws with z2 = 0, ours. Training drew such
            images from likely z1 alone; of others they may well show what is of class 1, and then z2 explains nothing.
        decay: the learning rate falls to nothing along half a cosine, ours; else it stays the same, and restarts end in
            their jitter around an image.
        steps: iterations at most.
        patience: iterations after which an image ends whose loss has not fallen; a multiple of 50, or 0 for never.
        least: what counts as falling.
        tolerance: the mean square difference up to which a reconstruction is one; 0 for any. Whatever it is, the
            classifier has to decide for the same class.
    """
    recipe = inverting.Recipe(
        optimiser=optimiser,
        initial=initial,
        lr=lr,
        mse=mse,
        bce=bce,
        prior=prior,
        negative=negative,
        decay=decay,
        steps=steps,
        patience=patience,
        least=least,
    )
    found = inverting.invert(images, generator, classifier, streams, recipe, keeper, encoder)
    drawn = generator(found.latents)
    probability = LogOdds(classifier, 1).probability
    columns = {
        "latents": found.latents,
        "mse": found.mse,
        "bce": found.bce,
        "before": probability(images),
        "after": probability(drawn),
        "iterations": found.iterations,
        "valid": inverting.valid(found, classifier, images, drawn, tolerance),
    }
    return grey(drawn), columns
