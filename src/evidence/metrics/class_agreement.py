"""Whether generated images are of the class they were generated for (Dravid et al., CVPR-W 2022, Table 1)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.metrics import roc_auc_score
from torch import nn

from evidence import machine
from evidence.errors import BadInput
from evidence.networks.latent import draw
from evidence.networks.lean import folded
from evidence.networks.log_odds import LogOdds
from evidence.progress import chunks
from evidence.seeds import stream

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(
    generator: nn.Module,
    classifier: nn.Module,
    *,
    draws: int = 1000,
    positives: int = 3,
    repeats: int = 5,
    batch: int = 100,
    seed: int = 0,
) -> Mapping[str, Float[Any, " repeat"]]:
    """``accuracy``, the share of generated images that the classifier decides for the class that was asked for, and
    ``auc``, the chance that an image of class 1 gets a higher p1 than one of class 0; one value a repeat.

    Each z1 makes one image of class 0, with z2 = 0, and some of class 1, each with a z2 of its own. Both networks are
    in evaluation mode; the released code generates with the statistics of the few images of one z1.

    Args:
        draws: of z1, in a repeat.
        positives: images of class 1 a z1.
        repeats: how often all is drawn anew. The paper does not say what its ± is over.
        batch: images generated at once; no result depends on it.
        seed: of what is drawn.
    """
    if not hasattr(generator, "sizes"):
        raise BadInput(f"a {type(generator).__name__} makes no images of latents; score a generator of medxgan")
    for name, value in (("draws", draws), ("positives", positives), ("repeats", repeats), ("batch", batch)):
        if value < 1:
            raise BadInput(f"{name}: {value} leaves nothing to score; take 1 or more")
    generator, classifier = (machine.place(folded(network)) for network in (generator, classifier))
    log_odds, labels = LogOdds(classifier, 1), torch.tensor([0] + [1] * positives).repeat(draws)
    found: dict[str, list[float]] = {"accuracy": [], "auc": []}
    with machine.evaluation(generator, classifier), machine.exactly(), torch.no_grad():
        for repeat in range(repeats):
            random = torch.Generator().manual_seed(stream(seed, "class agreement", repeat))
            latents = draw(labels, generator.sizes, random)
            z1 = latents[:, : generator.sizes[0]]
            z1[:] = z1[:: 1 + positives].repeat_interleave(1 + positives, 0)  # that of the image of class 0
            pieces = [
                log_odds(machine.laid_out(generator(latents[rows].to(machine.device()))))
                for rows in chunks(len(latents), batch, f"generating, {repeat + 1} of {repeats}")
            ]
            certainty = (
                torch.cat(pieces).double().cpu().numpy()
            )  # rises with p1, and stays apart where that rounds to 1
            found["accuracy"].append(((certainty > 0) == labels.numpy()).mean())
            found["auc"].append(roc_auc_score(labels.numpy(), certainty))
    return {name: np.array(values) for name, values in found.items()}
