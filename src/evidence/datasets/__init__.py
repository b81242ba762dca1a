"""Datasets, one file each: ``fetch`` or ``simulate`` the raw files, ``prepare`` them into arrays.

Contract of a module in this folder, found by its name:

``fetch(raw, *, …) -> Units``        the raw files below the folder ``raw``, checked as far as is cheap, in units
``simulate(folder, *, …) -> Units``  a phantom of them in the same format, written below ``folder``
``prepare(files, *, …) -> Part``     the arrays of one unit; it cannot tell the phantom from the real thing
``image(file, *, …) -> array``       where images are files of their own: one, prepared with the same settings

The docstring says where the data come from and under which licence. ``DOWNLOADS`` are what ``fetch`` gets where nobody
says where the raw files are; without them ``BY_HAND`` ends the message that asks for their folder.
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
        index: a row a sample: ``subject`` (str; never in two splits), ``label`` (int; 0 is the baseline class,
            unless there are more than two), and what else the dataset knows. ``split`` (str) where one is published,
            and ``listed`` (bool) where it is published which samples of class 1, or of more than two classes, are
            explained. ``has_truth`` (bool) where it is not known for all; ``content`` (str) is a digest of the image
            where the same image may come twice.
    """

    images: np.ndarray
    truth: np.ndarray | None
    index: pd.DataFrame


@dataclass(frozen=True)
class Download:
    """A file of a dataset, or an archive of one folder.

    Args:
        url: where it is.
        size: bytes.
        checksum: ``algorithm:hexadecimal``.
        path: where it ends up below the dataset's folder; of a ``.tar``, the folder that it holds.
    """

    url: str
    size: int
    checksum: str
    path: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def is_archive(self) -> bool:
        return self.name.endswith((".tar", ".tar.gz", ".tgz"))
