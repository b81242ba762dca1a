"""NIfTI volumes: read with one clear message where that fails, brought to another size."""

from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import zoom

from evidence.errors import BadInput


def read(path: Path | str) -> np.ndarray:
    """The stored volume, float32, its axes turned to (…, z, y, x); the channels of a series come first.

    The order of voxels along an axis stays as stored. Raises ``BadInput`` where the file is no whole NIfTI, or holds
    NaN or infinite values.
    """
    try:
        array = np.asarray(nibabel.load(path).dataobj, np.float32)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make it first, or correct the path") from error
    except Exception as error:  # nibabel, gzip and zlib each have their own
        raise BadInput(f"{path} cannot be read as NIfTI ({error}); replace it, then: --forcerun fetch") from error
    if not np.isfinite(array).all():
        raise BadInput(f"{path} holds NaN or infinite values; mend or remove it, then: --forcerun fetch")
    return array.T


def resampled(volume: np.ndarray, shape: tuple[int, ...], *, nearest: bool = False) -> np.ndarray:
    """A volume on another grid over the same box: linear between voxel centres, or the nearest one."""
    factors = [new / old for new, old in zip(shape, volume.shape, strict=True)]
    return zoom(volume, factors, order=0 if nearest else 1, mode="nearest", grid_mode=True)
