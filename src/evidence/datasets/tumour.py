"""Axial slices of brains with and without a tumour, of the Medical Segmentation Decathlon (Charachon et al., 2021).

Task01_BrainTumour holds 484 labelled patients, ``imagesTr`` with four channels each (FLAIR, T1w, T1gd, T2w), skull
stripped, 1 mm; ``labelsTr`` with oedema 1, non-enhancing 2 and enhancing tumour 3. The paper takes T1gd, and a slice is
of class 1 where ten pixels and more are tumour; oedema is none. The authors' README says so, not the paper.

A folder of BraTS patients (``X/X_t1ce.nii.gz`` and ``X/X_seg.nii.gz``) is taken too: its labels 1 and 4 are tumour.
The published split, and the published list of the thousand slices that were explained, are kept where they lie beside
``imagesTr``, as ``split_brain_tumor_classifier_training.json`` and ``split_brain_tumor_interpreter_evaluation.json``.

Source: MONAI's copy of the archive, and both lists from the authors' repository (``DOWNLOADS``). Licence: CC BY-SA 4.0;
the lists have none. Reference: http://medicaldecathlon.com.
"""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter, map_coordinates

from evidence import volumes
from evidence.datasets import Download, Part
from evidence.errors import BadInput
from evidence.images import stretched
from evidence.io import Units, replacing, save_json
from evidence.seeds import rng
from evidence.splits import chosen, published

CHANNELS = ("FLAIR", "T1w", "T1gd", "T2w")
LABELS = ("background", "edema", "non-enhancing tumor", "enhancing tumour")
BRATS = {1: 2, 2: 1, 4: 3}  # label of BraTS → label of the Decathlon
SPLIT = "split_brain_tumor_classifier_training.json"
EXPLAINED = "split_brain_tumor_interpreter_evaluation.json"
TASK = "Task01_BrainTumour"
AUTHORS = "https://raw.githubusercontent.com/martinCharachon/cGANsExplainer/f7f26011ed3f2fec9e82696552c150e9bf292116"
DOWNLOADS = (
    Download(
        f"https://msd-for-monai.s3-us-west-2.amazonaws.com/{TASK}.tar",
        7_608_266_240,
        "md5:240a19d752f0d9e9101544901065d872",
        TASK,
    ),
    Download(
        f"{AUTHORS}/BrainTumorLoc/split/{SPLIT}",
        2_574_000,
        "sha256:d8ab5b8489358b5d249e2f6c6940b8ba50059b18cf97753fc4e3a03c5a7b79cb",
        f"{TASK}/{SPLIT}",
    ),
    Download(
        f"{AUTHORS}/BrainTumorLoc/split/{EXPLAINED}",
        41_247,
        "sha256:18dbb473f52c7395e9b1d5b0279b4574ebf5a7a5376d3a32eaa6eda3e241c4a2",
        f"{TASK}/{EXPLAINED}",
    ),
)


def fetch(raw: Path) -> Units:
    """The patients below ``raw``, a Decathlon task or a folder of BraTS patients; a patient is a unit.

    Args:
        raw: the folder that holds imagesTr/ and labelsTr/, or Task01_BrainTumour, or a folder for each BraTS patient.
    """
    for root in (raw, raw / TASK):
        if (root / "imagesTr").is_dir():
            return _decathlon(root)
    units = {}
    for image in sorted(raw.glob("*/*_t1ce.nii.gz")):
        label = image.with_name(image.name.replace("_t1ce", "_seg"))
        if not label.is_file():
            raise BadInput(f"{image} has no segmentation {label.name} beside it; add it, or remove the patient")
        units[image.parent.name] = [image, label]
    if not units:
        raise BadInput(
            f"{raw} holds neither imagesTr/ and labelsTr/ nor patients with *_t1ce.nii.gz and *_seg.nii.gz; point the "
            "dataset at the unpacked Task01_BrainTumour"
        )
    return units


def _decathlon(root: Path) -> Units:
    lists = [root / name for name in (SPLIT, EXPLAINED) if (root / name).is_file()]
    units = {}
    for image in sorted((root / "imagesTr").glob("[!.]*.nii.gz")):
        label = root / "labelsTr" / image.name
        if not label.is_file():
            raise BadInput(f"{image} has no {label}; unpack the archive again")
        units[image.name.removesuffix(".nii.gz")] = [image, label, *lists]
    if root / SPLIT in lists:  # one message now, not one for each patient
        published(root / SPLIT, "patient")
    if root / EXPLAINED in lists:
        chosen(root / EXPLAINED)
    return units


def simulate(
    folder: Path, *, subjects: int = 24, native: tuple[int, int, int] = (240, 240, 155), seed: int = 42
) -> Units:
    """Phantoms in the Decathlon's files: the MNI152 brain in random pose and shape, with a tumour of four levels.

    Args:
        folder: where imagesTr, labelsTr and dataset.json go.
        subjects: patients.
        native: voxels along x, y and z; the box is that of the real ones, 240×240×155 mm.
        seed: of all patients; each is a function of it and its number.
    """
    template = _template()
    for number in range(1, subjects + 1):
        image, label = draw(number, template, tuple(native), seed)
        affine = np.diag([*(size / n for size, n in zip((240, 240, 155), native, strict=True)), 1.0])
        for kind, array in (("imagesTr", image), ("labelsTr", label)):
            with replacing(folder / kind / f"BRATS_{number:03d}.nii.gz") as aside:
                nibabel.save(nibabel.Nifti1Image(array, affine), aside)
    save_json(
        folder / "dataset.json",
        {
            "name": "phantom of BRATS",
            "tensorImageSize": "4D",
            "modality": dict(enumerate(CHANNELS)),
            "labels": dict(enumerate(LABELS)),
            "numTraining": subjects,
        },
    )
    return fetch(folder)


def _template() -> np.ndarray:
    """The skull-stripped MNI152 T1 of 2 mm that nilearn brings along, (x, y, z), 0 to 1."""
    from nilearn.datasets import load_mni152_template

    return np.asarray(load_mni152_template(resolution=2).dataobj, np.float32)


def draw(number: int, template: np.ndarray, native: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One patient, (x, y, z, channel) int16, and its labels (x, y, z) uint8."""
    random = rng(seed, "tumour", number)
    scale = np.array([240, 240, 155]) / native  # mm a voxel
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in native), indexing="ij"))
    place = (grid + 0.5) * scale[:, None, None, None] - np.array([120, 120, 77.5])[:, None, None, None]  # mm

    turn = _rotation(random.normal(0, np.radians(6), 3)) * random.normal(1.12, 0.04, 3)
    inside = np.tensordot(turn, place - random.normal(0, 3, 3)[:, None, None, None], 1)
    bend = np.stack([gaussian_filter(random.standard_normal(native), 12 / scale) for _ in range(3)])
    inside += bend / bend.std() * 2.5  # mm
    head = map_coordinates(template, inside / 2 + (np.array(template.shape)[:, None, None, None] - 1) / 2, order=1)
    brain = head > 0.15

    texture = gaussian_filter(random.standard_normal(native), 4 / scale)
    texture /= texture.std()
    centre = _somewhere(random, place, brain)
    axes = random.uniform(14, 30, 3)  # mm
    away = np.sqrt((((place - centre[:, None, None, None]) / axes[:, None, None, None]) ** 2).sum(0)) + 0.18 * texture
    label = np.zeros(native, np.uint8)
    label[(away < random.uniform(1.3, 1.7)) & brain] = 1
    label[(away < 1) & brain] = 3
    label[(away < random.uniform(0.5, 0.75)) & brain] = 2

    fluid = np.clip(1 - head / 0.45, 0, 1) * brain
    level = [
        np.where(brain, value, 0) for value in (0.75 - 0.35 * head - 0.4 * fluid, head, head, 0.4 - 0.2 * head + fluid)
    ]
    oedema, core, rim = (label == kind for kind in (1, 2, 3))
    for channel, (o, c, r) in enumerate(((1.5, 1.1, 1.2), (0.8, 0.6, 0.85), (0.85, 0.45, 1.6), (1.5, 1.4, 1.2))):
        level[channel] = level[channel] * (1 + (o - 1) * oedema + (c - 1) * core + (r - 1) * rim)
    # Vessels at the brain's border take up contrast too, as much as tumours: else the brightest pixel of a slice would
    # tell, and with each slice scaled by its own brightest pixel so would the level of all others.
    rim_of_brain = brain & (gaussian_filter(brain.astype(np.float32), 3 / scale) < 0.97)
    vessels = gaussian_filter(random.standard_normal(native), 3 / scale)
    vessels = np.clip(2 * (vessels / vessels.std() - 1.2), 0, 1) * rim_of_brain
    level[2] = level[2] + random.uniform(0.9, 1.3) * vessels
    coil = 1 + 0.15 * gaussian_filter(random.standard_normal(native), 40 / scale) / 0.02
    noisy = [
        np.where(brain, each * np.clip(coil, 0.7, 1.3) * (1 + 0.05 * texture) + random.normal(0, 0.02, native), 0)
        for each in level
    ]
    image = np.stack(noisy, -1) * random.uniform(300, 1500)
    return np.clip(image, 0, 32767).astype(np.int16), label


def _rotation(angles: np.ndarray) -> np.ndarray:
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (axis + 1) % 3, (axis + 2) % 3
        plane = np.eye(3)
        plane[one, one] = plane[other, other] = np.cos(angle)
        plane[one, other], plane[other, one] = -np.sin(angle), np.sin(angle)
        turn = turn @ plane
    return turn


def _somewhere(random: np.random.Generator, place: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A voxel of the brain, not at its rim, in mm."""
    deep = gaussian_filter(brain.astype(np.float32), 3) > 0.95
    candidates = np.argwhere(deep if deep.any() else brain)
    return place[(slice(None), *candidates[random.integers(len(candidates))])]


def prepare(
    files: list[Path],
    *,
    size: int = 224,
    slices: int = 145,
    channel: int = 2,
    tumour: tuple[int, ...] = (2, 3),
    least: int = 10,
) -> Part:
    """The axial slices of one patient that show a head, each scaled to [0, 1] by its darkest and brightest pixel.

    Args:
        files: image, labels and, where they are there, the published split and list of explained slices.
        size: side of a slice in pixels.
        slices: of a whole volume, before those without a head are left out at both ends.
        channel: of four, in the Decathlon's order: FLAIR, T1w, T1gd, T2w. Paper: T1gd.
        tumour: the Decathlon's labels that are tumour. Paper: not said; the authors' README: 2 and 3, no oedema.
        least: pixels of tumour that make a slice one of class 1.
    """
    image_file, label_file, *others = files
    lists = {file.name: file for file in others}
    image, label = _channel(volumes.read(image_file), image_file, channel), volumes.read(label_file)
    if image.shape != label.shape:
        shapes = " and ".join("×".join(map(str, each.shape[::-1])) for each in (image, label))
        raise BadInput(f"{image_file.name}: image and labels differ in shape, {shapes}; unpack the archive again")
    label = _labels(label, label_file)
    shape = (slices, size, size)
    image = volumes.resampled(image, shape)
    mask = volumes.resampled(np.isin(label, tumour).astype(np.uint8), shape, nearest=True)
    heads = np.flatnonzero((image > 0).any((1, 2)))
    if len(heads) == 0:
        raise BadInput(f"{image_file}: channel {channel} is empty; remove the patient, then: --forcerun fetch")
    kept = slice(heads[0], heads[-1] + 1)
    image, mask = image[kept], mask[kept]
    image = stretched(image)
    subject = image_file.name.removesuffix(".nii.gz").removesuffix("_t1ce")
    positive = mask.sum((1, 2)) >= least
    index = pd.DataFrame(
        {
            "subject": subject,
            "slice": np.arange(kept.start, kept.stop),
            "label": positive.astype(int),
            "has_truth": positive,
            "tumour": mask.mean((1, 2)),
        }
    )
    if SPLIT in lists:
        index["split"] = _split_of(subject, lists[SPLIT])
    if EXPLAINED in lists:
        index["listed"] = index["slice"].isin(chosen(lists[EXPLAINED]).get(subject, set()))
    return Part(image[:, None].astype(np.float32), mask[:, None].astype(np.uint8), index)


def _channel(image: np.ndarray, file: Path, channel: int) -> np.ndarray:
    if image.ndim == 3:
        return image  # BraTS has a file for each channel, and this is that of T1gd
    if image.ndim != 4 or image.shape[0] != len(CHANNELS):
        found = "×".join(map(str, image.shape[::-1]))
        raise BadInput(f"{file} is {found}, not x×y×z×4: the channels {', '.join(CHANNELS)} are expected")
    if not 0 <= channel < len(CHANNELS):
        raise BadInput(f"channel: {channel} is none of 0 to 3: {', '.join(CHANNELS)}")
    return image[channel]


def _labels(label: np.ndarray, file: Path) -> np.ndarray:
    """The Decathlon's labels; those of BraTS are known by their file's name."""
    found, brats = set(np.unique(label).tolist()), file.name.endswith("_seg.nii.gz")
    there = {0, *BRATS} if brats else set(range(len(LABELS)))
    if wrong := sorted(found - there):
        raise BadInput(f"{file}: the labels {wrong} are none of {sorted(there)}; is this the right segmentation?")
    return np.vectorize({0: 0, **BRATS}.get)(label) if brats else label


def _split_of(subject: str, file: Path) -> str:
    splits = published(file, "patient")
    if subject not in splits:
        raise BadInput(f"{file} does not name the patient {subject}; remove the file to draw a split by patient")
    return splits[subject]
