"""Whether generated adversaries and stable images are what they are taken for, on test images.

Not in the papers, whose numbers rest on it: an adversary that is not decided otherwise explains nothing.
"""

from collections.abc import Mapping

import numpy as np
import torch

from evidence import machine
from evidence.deciding import Decisions, outcome, parts
from evidence.errors import BadInput
from evidence.shapes import Images, Values

BETTER = "higher"
RANGE = (0.0, 1.0)


def score(images: Images, classifier, generator) -> Mapping[str, Values]:
    """Of each image: ``flip``, 1 where its adversary is decided otherwise; ``stable``, 1 where the start of its way is
    decided as it is; ``change`` and ``residue``, the mean absolute differences of the adversary and of that start to
    the image, for which lower is nearer. Charachon et al.'s code base asks for no number; 0.95 of both is wished for.
    """
    if not hasattr(generator, "path"):
        raise BadInput(f"a {type(generator).__name__} makes no adversaries; score a generator of cyce, syce or sagen")
    decisions, found = Decisions(classifier), []
    machine.place(generator)
    with machine.evaluation(generator), torch.no_grad():
        for rows in parts(np.arange(len(images))):
            some = machine.to_device(torch.from_numpy(np.array(images[rows], np.float32)))
            with machine.exactly():
                ends = generator.path(some, decisions.of(some).long())
                found.append(outcome(decisions, some, *ends))
    return {key: torch.cat([each[key] for each in found]).double().cpu().numpy() for key in found[0]}
