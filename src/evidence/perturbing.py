"""What a classifier says while an image turns into another, pixel by pixel: the curves behind AOPC and R.

Charachon et al. (2021, section 4.4) replace pixels not by noise or nothing but by those of a translation of the image
to the other class, made once an image by a network that has nothing to do with the explained ones.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import nn

from evidence import machine
from evidence.errors import BadInput
from evidence.networks.lean import folded
from evidence.progress import chunks
from evidence.seeds import rng
from evidence.shapes import Images, Labels

POINTS = {"cpu": 16, "cuda": 512}  # images judged at once; no result depends on it

Ranks = Integer[Any, "image pixel"]  # 0 for the pixel that is replaced first
Curves = Float[Any, "image count"]


class Replacement:
    """Images, their translations to the class that the classifier did not decide for, and its judgement in between."""

    def __init__(self, images: Images, classifier: nn.Module, perturber: nn.Module):
        if not hasattr(perturber, "translate"):
            raise BadInput(f"a {type(perturber).__name__} translates no images; train fixed_point for the perturber")
        self.images = np.asarray(images, np.float32)
        self.classifier = machine.place(folded(classifier))
        self.decisions = self._logits(self.images).argmax(1)
        machine.place(perturber)
        with machine.evaluation(perturber), torch.no_grad():
            pieces = [
                perturber.translate(self._on_device(self.images[rows]), torch.from_numpy(1 - self.decisions[rows]))
                for rows in chunks(len(self.images), 50, "translating")
            ]
        self.others = np.concatenate([piece.cpu().numpy() for piece in pieces])

    @property
    def flipped(self) -> float:
        """Share of translations that the classifier decides otherwise."""
        return float((self._logits(self.others).argmax(1) != self.decisions).mean())

    def curves(self, ranks: Ranks, counts: Sequence[int]) -> Curves:
        """The probability of the decided class with so many first-ranked pixels replaced, for each image and count."""
        space = self.images.shape[2:]
        counted = torch.tensor(counts).view(-1, *(1,) * (len(space) + 1))
        found = np.empty((len(self.images), len(counts)))
        points = POINTS.get(machine.device().type, 64)
        with machine.evaluation(self.classifier), torch.no_grad():
            for row in (part.start for part in chunks(len(self.images), 1, "replacing")):
                image, other = (self._on_device(each[row : row + 1]) for each in (self.images, self.others))
                rank = torch.from_numpy(np.ascontiguousarray(ranks[row], np.int32)).view(1, 1, *space).to(image.device)
                pieces = [
                    self.classifier(machine.laid_out(torch.where(rank < some.to(image.device), other, image)))
                    for some in counted.split(points)
                ]
                found[row] = torch.cat(pieces).double().softmax(1)[:, self.decisions[row]].cpu().numpy()
        return found

    def _logits(self, images: Images) -> np.ndarray:
        return machine.predict(self.classifier, images)

    @staticmethod
    def _on_device(images: np.ndarray) -> torch.Tensor:
        return machine.to_device(torch.from_numpy(np.ascontiguousarray(images)))


def ranked(relevance: np.ndarray, seed: int) -> np.ndarray:
    """The rank of each value in its row, 0 for the greatest; ties in an order drawn for the row."""
    ranks = np.empty(relevance.shape, np.int32)
    for row, values in enumerate(relevance):
        order = np.lexsort((rng(seed, "ties", row).permutation(len(values)), -values))
        ranks[row, order] = np.arange(len(values), dtype=np.int32)
    return ranks


def some(labels: Labels, each: int) -> np.ndarray:
    """Rows of so many images of each class, 0 for all: drawn, as neighbours may be one patient's, but always alike."""
    labels = np.asarray(labels)
    order = rng(0, "some").permutation(len(labels))
    chosen = [order[labels[order] == label][: each or None] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))
