"""Whether generated images are what a classifier knows: how often it is certain, and of which classes they are."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from evidence import machine
from evidence.errors import BadInput
from evidence.seeds import stream
from evidence.shapes import Images

BETTER = "higher"
RANGE = (0.0, 1.0)
AT_ONCE = 100


def score(
    generator: nn.Module,
    classifier: nn.Module,
    images: Images,
    *,
    draws: int = 1_000,
    least: float = 0.9,
    repeats: int = 5,
    seed: int = 0,
) -> Mapping[str, Float[np.ndarray, "_"]]:
    """Of so many images, several times over: ``certain``, the share of which the greatest probability is ``least`` or
    more; ``likely``, that of which it is a half or more; and ``even``, the entropy of the classes they are decided for
    over its greatest value, which all alike have. ``real`` is the share of real test images that is certain.

    Args:
        draws: latents from N(0, I).
        least: what counts as certain.
        repeats: how often that is done.
        seed: of the latents.
    """
    if not hasattr(generator, "z"):
        raise BadInput(f"a {type(generator).__name__} draws nothing from one latent; give the generator of a dcgan")
    machine.place(generator), machine.place(classifier)
    random = torch.Generator().manual_seed(stream(seed, "certainty"))
    found: dict[str, list[float]] = {"certain": [], "likely": [], "even": []}
    with machine.evaluation(generator, classifier), torch.no_grad():
        for _ in range(repeats):
            latents = torch.randn(draws, generator.z, generator=random).to(machine.device())
            parts = [classifier(generator(part)).softmax(1) for part in latents.split(AT_ONCE)]
            probabilities = torch.cat(parts).double().cpu()
            share = probabilities.argmax(1).bincount(minlength=probabilities.shape[1]) / draws
            found["certain"].append(float((probabilities.amax(1) >= least).double().mean()))
            found["likely"].append(float((probabilities.amax(1) >= 0.5).double().mean()))
            found["even"].append(float(torch.special.entr(share).sum() / np.log(len(share))))
    real = torch.from_numpy(machine.predict(classifier, images)).softmax(1).amax(1)
    found["real"] = [float((real >= least).double().mean())]
    return {name: np.array(values) for name, values in found.items()}
