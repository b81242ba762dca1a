"""What searches for anchors found, and what they cost (David et al., 2019, Tables 1 and 2)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float

Trials = Float[np.ndarray, "image *trial"]
BETTER = "higher"
RANGE = (0.0, 1.0)  # of shares; what is counted, or takes time, has no greatest value
METHODS = ("anchor",)
FOUND = ("precision", "fresh", "coverage", "size", "area")
COUNTED = ("holds", "samples", "unreached")
COST = {
    "minutes": ("trial_seconds", 1 / 60),
    "cpu": ("trial_cpu", 1 / 60),
    "bank": ("trial_bank", 1 / 60),
    "images": ("trial_images", 1),
}
COLUMNS = (*FOUND, *COUNTED, *(column for column, _ in COST.values()), "trial_updates", "ended")


def score(samples: pd.DataFrame) -> Mapping[str, Trials]:
    """Of each image's trials, (image, trial): ``precision``, as the search found it; ``fresh``, as new samples have it;
    ``coverage``; ``size`` in segments and ``area`` as a share of the image, of an empty anchor 0; ``holds``, 1 where it
    is an anchor and 0 where it is the best of what was tried; ``samples`` that the search drew, and sets of segments
    that it set aside as out of reach (``unreached``). Of these more is better but for size, area and the last two.
    ``precision_held``, ``fresh_held`` and ``size_held`` are of anchors alone.

    And what it cost: ``minutes`` of wall clock and of processors (``cpu``), minutes of the ``bank`` that it shares with
    other images' searches, ``images`` that the generator drew and ``updates`` of latents. ``ended`` is 1 where the
    search came to its end and 0 where it was cut off or no latent agreed with the image; of what it would have found
    nothing exists, and what it cost counts as it is.
    """
    table = {name: np.stack(samples[name].to_numpy()).astype(np.float64) for name in COLUMNS}
    holds = table["holds"] == 1
    return {
        **{name: table[name] for name in (*FOUND, *COUNTED)},
        **{f"{name}_held": np.where(holds, table[name], np.nan) for name in ("precision", "fresh", "size")},
        **{name: table[column] * factor for name, (column, factor) in COST.items()},
        "updates": table["trial_updates"],
        "ended": (table["ended"] == 1).astype(np.float64),
    }
