"""A search for an anchor as an experiment: what it found, what that cost, and whether it holds for new samples."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import nn

from evidence.anchoring import Anchor, Draw, Samples, Search, Unreachable, find
from evidence.sampling import Drawn, Sampler, Spent, Subject
from evidence.seeds import rng, stream
from evidence.shapes import Images

ENDED, CUT_OFF, OUT_OF_REACH = 1, 0, -1
OUTCOME = ("precision", "coverage", "size", "area", "holds", "samples", "unreached")


@dataclass
class Decision:
    """A classifier's decision about an image, and whether it decides others alike."""

    classifier: nn.Module
    subject: Subject

    def __post_init__(self):
        self.label = int(self.of(self.subject.image)[0])

    @torch.no_grad()
    def of(self, images: Images, at_once: int = 200) -> torch.Tensor:
        """The class of each image."""
        return torch.cat([self.classifier(part).argmax(1) for part in images.split(at_once)])

    def alike(self, images: Images) -> Bool[np.ndarray, " sample"]:
        return (self.of(images) == self.label).cpu().numpy()

    def drawing(self, sampler: Sampler) -> Draw:
        """Samples as a search asks for them: of all sets at once, so the classifier decides about them together."""

        def draw(anchors: Sequence[Anchor], count: int) -> list[Samples | None]:
            sampler.prepare(anchors, count)
            found = [drawn(anchor, count) for anchor in anchors]
            images = [each.images for each in found if each]
            alike = iter(np.split(self.alike(torch.cat(images)), len(images)) if images else ())
            return [(each.kept, next(alike)) if each else None for each in found]

        def drawn(anchor: Anchor, count: int) -> Drawn | None:
            try:
                return sampler.draw(anchor, count)
            except Unreachable:
                return None

        return draw

    def precision(self, sampler: Sampler, anchor: Anchor, count: int) -> float:
        """The share of so many new samples that are decided alike; NaN where they cannot be had."""
        try:
            return float(self.alike(sampler.draw(anchor, count).images).mean())
        except (Unreachable, Spent):
            return float("nan")


@dataclass
class Trial:
    """The anchor that a search ended with, None where it did not, and numbers about both."""

    anchor: Anchor | None
    numbers: dict[str, float]


def attempt(decision: Decision, sampler: Sampler, search: Search, seed: int) -> Trial:
    """Seek an anchor, and take the time."""
    subject, numbers = decision.subject, dict.fromkeys(OUTCOME, float("nan"))
    began, worked, found, ended = time.perf_counter(), time.process_time(), None, ENDED
    try:
        draw, rows = decision.drawing(sampler), rng(seed, "coverage")
        found = find(subject.segments.count, draw, search, rows)
    except Spent:
        ended = CUT_OFF
    except Unreachable:
        ended = OUT_OF_REACH
    numbers |= {
        "trial_seconds": time.perf_counter() - began,
        "trial_cpu": time.process_time() - worked,
        "trial_bank": sampler.cost.bank,
        "trial_images": sampler.cost.images,
        "trial_updates": sampler.cost.updates,
        "ended": ended,
    }
    if found:
        numbers |= {
            "precision": found.precision,
            "coverage": found.coverage,
            "size": len(found.anchor),
            "area": float(np.isin(subject.segments.labels, found.anchor).mean()),
            "holds": float(found.holds),
            "samples": found.samples,
            "unreached": found.unreached,
        }
    return Trial(found.anchor if found else None, numbers)


def once_more(decision: Decision, sampler: Sampler, trial: Trial, count: int) -> None:
    """Enter what new samples say of a trial's anchor."""
    known = count > 0 and trial.anchor is not None
    trial.numbers["fresh"] = decision.precision(sampler, trial.anchor, count) if known else float("nan")


def own(seed: int, purpose: str, number: int = 0) -> tuple[np.random.Generator, torch.Generator]:
    """The random numbers of one sampler: NumPy's and torch's."""
    seed = stream(seed, purpose, number)
    return rng(seed, "numbers"), torch.Generator().manual_seed(stream(seed, "latents"))
