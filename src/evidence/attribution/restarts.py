"""Whether inversion finds the same latents again: five of them from starts of their own (Dravid et al., CVPR-W 2022,
section 4 and Table 3; the code of that experiment is not released)."""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from evidence import inverting
from evidence.networks.filters import grey
from evidence.resuming import Keeper
from evidence.seeds import stream
from evidence.shapes import Images, ManyMaps

MAPS = ("first", "second", "third", "fourth", "fifth")


def attribute(
    images: Images,
    generator: nn.Module,
    classifier: nn.Module,
    streams: Sequence[int],
    keeper: Keeper,
    *,
    optimiser: Literal["adam", "sgd"] = "adam",
    initial: Literal["zeros", "normal"] = "normal",
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
) -> tuple[ManyMaps, dict[str, Tensor]]:
    """The maps are the five reconstructions, grey.

    Columns, means over the ten pairs: ``ssim`` of the reconstructions (Gaussian window of deviation 1.5; intensities
    count from the darkest on, as it is defined for numbers that are not negative, and have the whole range that the
    generator has), ``cosine`` of the latents, ``cosine_z1`` and ``cosine_z2`` of either, and ``cosine_features`` of the
    products with the first layer's weights: latents of more numbers than it has channels have directions that no image
    shows, in which nothing leads together. ``mse``: of the worst of the five. ``valid``: 1 where all five are.

    Args:
        optimiser: see ``inversion``.
        initial: see ``inversion``. Paper: ``normal``. With ``zeros`` only z2 has starts of its own.
        lr: learning rate.
        mse: weight of the mean square difference.
        bce: weight of the cross-entropy of the classifier's probabilities.
        prior: see ``inversion``.
        negative: see ``inversion``.
        decay: see ``inversion``.
        steps: iterations at most. Paper: 10,000.
        patience: iterations after which an image ends whose loss has not fallen; 0 for never.
        least: what counts as falling.
        tolerance: the mean square difference up to which a reconstruction is one; 0 for any.
    """
    times = len(MAPS)
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
    again = images.repeat_interleave(times, 0)
    own = [stream(each, "restart", number) for each in streams for number in range(times)]
    found = inverting.invert(again, generator, classifier, own, recipe, keeper)
    drawn = generator(found.latents)
    shape = (len(images), times, -1)
    z1, z2 = found.latents.split(generator.sizes, 1)
    compared = {
        "cosine": found.latents,
        "cosine_z1": z1,
        "cosine_z2": z2,
        "cosine_features": found.latents @ generator.first.weight.T,
    }
    columns = {name: pairs(values.reshape(shape)) for name, values in compared.items()}
    maps = grey(drawn).reshape(len(images), times, *drawn.shape[2:])
    pictures, extent = maps.cpu().numpy(), generator.high - generator.low
    columns["ssim"] = torch.tensor([similarity(each - generator.low, extent) for each in pictures])
    columns["mse"] = found.mse.reshape(-1, times).amax(1)
    usable = inverting.valid(found, classifier, again, drawn, tolerance)
    columns["valid"] = usable.reshape(-1, times).amin(1)
    return maps, columns


def pairs(vectors: Tensor) -> Tensor:
    """Of (image, restart, numbers) the mean cosine of all pairs of an image's restarts."""
    couples = list(combinations(range(vectors.shape[1]), 2))
    return torch.stack([cosine_similarity(vectors[:, a], vectors[:, b]) for a, b in couples]).mean(0)


def similarity(pictures: np.ndarray, extent: float) -> float:
    """The mean structural similarity of all pairs of pictures."""
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": extent}
    return float(np.mean([structural_similarity(a, b, **settings) for a, b in combinations(pictures, 2)]))
