"""Datasets, one file each: ``fetch`` or ``simulate`` the raw files, ``prepare`` them into arrays.

Contract of a module in this folder, found by its name:

``fetch(raw, *, …) -> Units``        the raw files below the folder ``raw``, checked as far as is cheap, in units
``simulate(folder, *, …) -> Units``  a phantom of them in the same format, written below ``folder``
``prepare(files, *, …) -> Part``     the arrays of one unit; it cannot tell the phantom from the real thing

The docstring says where the data come from and under which licence.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass
class Part:
    """Some samples of a dataset.

    Attributes:
        images: float32 (sample, channel, *space), in [-1, 1] or, where a paper has it so, in [0, 1].
        truth: uint8 masks or float32 effects (sample, 1, *space); None where nothing is known of any sample.
        index: a row a sample: ``subject`` (str; never in two splits), ``label`` (int; 0 is the baseline class), and
            what else the dataset knows. ``split`` (str) where one is published. ``has_truth`` (bool) where it is not
            known for all; ``content`` (str) is a digest of the image where the same image may come twice.
    """

    images: np.ndarray
    truth: np.ndarray | None
    index: pd.DataFrame
