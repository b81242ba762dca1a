"""What a frozen classifier decides, and what models have in common that learn to explain it."""

import numpy as np
import torch
from torch import nn

from evidence import machine, training
from evidence.errors import BadInput
from evidence.networks.lean import folded
from evidence.networks.log_odds import LogOdds
from evidence.seeds import rng
from evidence.shapes import Images, Values

AT_ONCE = 50  # images judged together where nothing is learnt


class Decisions:
    """A frozen classifier in whose eyes images have classes. No part of a learner's state: it never changes."""

    def __init__(self, classifier: nn.Module):
        self.classifier = machine.place(folded(classifier)).requires_grad_(False).eval()

    def log_odds(self, images: Images) -> Values:
        with machine.autocast():
            found = LogOdds(self.classifier, 1)(images)
        return found.to(torch.promote_types(images.dtype, torch.float32))

    @torch.no_grad()
    def of(self, images: Images) -> Values:
        """1.0 where the classifier decides for class 1, else 0.0."""
        return (self.log_odds(images) >= 0).to(images.dtype)

    @torch.no_grad()
    @machine.exactly()
    def sorted(self, samples: training.Samples, most: int, seed: int = 0) -> training.Samples:
        """Some of the samples, drawn at random, labelled by what the classifier decides."""
        rows = np.arange(len(samples))
        if most and most < len(rows):
            rows = np.sort(rng(seed, "interpreter").choice(rows, most, replace=False))
        decided = torch.cat([self.of(samples.take(part)) for part in parts(rows)]).long().cpu().numpy()
        for label in (0, 1):
            if not (decided == label).any():
                raise BadInput(
                    f"the classifier decides for class {1 - label} on all {len(rows)} images: there is nothing to "
                    "translate; look at its accuracy, and train it again"
                )
        return samples.some(rows, decided)


class Interpreter(training.Learner):
    """A learner for which the class of an image is what the classifier decides: by that its samples are sorted.

    Args:
        classifier: what decides; it does not learn.
        most: training images, drawn at random; 0 for all.
        validate_most: validation images, drawn at random; 0 for all.
    """

    def __init__(self, classifier: nn.Module, most: int, validate_most: int):
        super().__init__()
        self.decisions = Decisions(classifier)
        self.most, self.validate_most = most, validate_most
        self.validation: training.Samples | None = None

    def pool(self, samples: training.Samples) -> training.Samples:
        return self.decisions.sorted(samples, self.most)

    def validated(self, samples: training.Samples) -> training.Samples:
        """The samples to validate on; they are sorted once."""
        if self.validation is None:
            self.validation = self.decisions.sorted(samples, self.validate_most)
        return self.validation


def outcome(decisions: Decisions, images: Images, start: Images, adversary: Images) -> dict[str, Values]:
    """Of each image, whether its adversary is decided otherwise and its start alike, and how far they are from it."""
    decided = decisions.of(images)
    return {
        "flip": (decisions.of(adversary) != decided).float(),
        "stable": (decisions.of(start) == decided).float(),
        "change": (images - adversary).abs().flatten(1).mean(1),
        "residue": (images - start).abs().flatten(1).mean(1),
    }


def parts(rows: np.ndarray) -> list[np.ndarray]:
    """Rows in pieces of no more than can be judged at once."""
    return np.array_split(rows, max(1, -(-len(rows) // AT_ONCE)))
