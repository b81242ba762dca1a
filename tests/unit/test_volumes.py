"""NIfTI files read as they are, and brought to other grids."""

import nibabel
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from evidence.errors import BadInput
from evidence.volumes import read, resampled


def save(path, array):
    nibabel.save(nibabel.Nifti1Image(array, np.diag([-1, -1, 3, 1])), path)
    return path


def test_axes_are_turned_and_nothing_else(tmp_path):
    array = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    found = read(save(tmp_path / "a.nii.gz", array))
    assert found.shape == (5, 4, 3, 2)
    assert found.dtype == np.float32
    assert found[4, 3, 2, 1] == array[1, 2, 3, 4]


def test_what_is_no_whole_volume_is_named(tmp_path):
    path = save(tmp_path / "a.nii.gz", np.random.default_rng(0).normal(size=(9, 9, 9)).astype(np.float32))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"a.nii.gz cannot be read as NIfTI"):
        read(path)
    path.write_bytes(b"no volume")
    with pytest.raises(BadInput, match=r"a.nii.gz cannot be read as NIfTI"):
        read(path)
    with pytest.raises(BadInput, match=r"b.nii.gz is missing"):
        read(tmp_path / "b.nii.gz")
    save(path, np.array([[[np.nan, 1.0]]], np.float32))
    with pytest.raises(BadInput, match=r"a.nii.gz holds NaN"):
        read(path)


@pytest.mark.parametrize("shape", [(5, 12, 7), (9, 4, 14)])
def test_resampling_is_torchs_without_aligned_corners(shape):
    volume = np.random.default_rng(0).normal(size=(7, 8, 10)).astype(np.float32)
    given = torch.from_numpy(volume)[None, None]
    linear = interpolate(given, shape, mode="trilinear", align_corners=False)[0, 0].numpy()
    np.testing.assert_allclose(resampled(volume, shape), linear, atol=1e-5)
    nearest = interpolate(given, shape, mode="nearest-exact")[0, 0].numpy()
    np.testing.assert_array_equal(resampled(volume, shape, nearest=True), nearest)
