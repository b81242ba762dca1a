"""Chest X-rays with and without opacities, of the RSNA Pneumonia Detection Challenge 2018 (Charachon et al., 2021).

``stage_2_train_images/<patientId>.dcm`` (or ``.png``; the id is that of an image), ``stage_2_train_labels.csv`` with
boxes, ``stage_2_detailed_class_info.csv``. Kept are Normal (8,851, class 0) and Lung Opacity (6,012, class 1); what is
neither is left out. The mask of an image is the union of its boxes. The published split
(``split_pneumonia_detection.json``) is kept where it is there, and is one of images, whoever they are of; else, where
``rsna_nih_mapping.csv`` (nih_image, patientId) tells who is who, no patient is in two splits. Who it is stands in the
column ``patient``.

Patients with an opacity were often X-rayed lying (view AP), healthy ones standing (PA): the view alone has an AUC of
about 0.81. The column ``view`` has it.

Source: https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data, stage 2, about 3.9 GB; needs an account.
RSNA's own release has other names and other classes. Licence as stated: non-commercial research and education.
Reference: Shih et al., 2019, https://doi.org/10.1148/ryai.2019180041.
"""

import io as memory
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage, generate_uid

from evidence import chests, images
from evidence.datasets import Part
from evidence.errors import BadInput
from evidence.io import Units, load_table, replacing, save_table
from evidence.seeds import rng, stream
from evidence.splits import published

FOLDER = "stage_2_train_images"
BOXES, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
SPLIT, PATIENTS = "split_pneumonia_detection.json", "rsna_nih_mapping.csv"
LABELS = {"Normal": 0, "Lung Opacity": 1}
TEN = [*["Normal"] * 5, *["Lung Opacity"] * 3, *["No Lung Opacity / Not Normal"] * 2]
BY_HAND = (
    ". To get them: download stage 2 of https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data (it needs an "
    "account and a yes to the rules), unpack it, and put the authors' split_pneumonia_detection.json beside it"
)
TOGETHER = 500  # images in a unit, so that the tables are not read for each


def fetch(raw: Path) -> Units:
    """The X-rays of the two classes below ``raw``, in units of 500 with the tables that speak of them.

    Args:
        raw: the folder that holds stage_2_train_images/ and the two tables.
    """
    for name in (FOLDER, BOXES, CLASSES):
        if not (raw / name).exists():
            raise BadInput(f"{raw} lacks {name}{BY_HAND}")
    classes = _classes(raw / CLASSES)
    found = {file.stem: file for file in sorted((raw / FOLDER).iterdir()) if file.suffix in (".dcm", ".png")}
    files = [file for name, file in found.items() if classes.get(name) in LABELS]
    if unknown := sorted(set(found) - set(classes)):
        raise BadInput(f"{raw / CLASSES} does not name {len(unknown)} images, {unknown[0]} among them; get it again")
    if not files:
        raise BadInput(f"{raw / FOLDER} holds no DICOM or PNG of the classes {' and '.join(LABELS)}")
    tables = [raw / name for name in (BOXES, CLASSES, SPLIT, PATIENTS) if (raw / name).is_file()]
    if raw / SPLIT in tables:
        published(raw / SPLIT, "image")  # one message now, not one for each unit
    parts = [files[start : start + TOGETHER] for start in range(0, len(files), TOGETHER)]
    return {f"{number:03d}": [*part, *tables] for number, part in enumerate(parts)}


def simulate(folder: Path, *, count: int = 240, native: int = 1024, seed: int = 42) -> Units:
    """Drawn chests in the challenge's files: DICOM with JPEG inside, boxes, classes. Of ten, five are normal, three
    have opacities, two are neither.

    Args:
        folder: where the files go.
        count: number of images.
        native: side of an image in pixels.
        seed: of the images; each is a function of it and its number.
    """
    boxes, classes = [], []
    for number in range(count):
        name = TEN[number * 7 % 10]  # in no order
        patient = f"{stream(seed, 'pneumonia', 'id', number):032x}"
        pixels, found = draw(number, native, seed, opacities=name == "Lung Opacity")
        _write(folder / FOLDER / f"{patient}.dcm", pixels, patient, "AP" if number % 3 else "PA")
        for box in found or [(np.nan,) * 4]:
            boxes.append((patient, *box, int(name == "Lung Opacity")))
            classes.append((patient, name))
    save_table(folder / BOXES, pd.DataFrame(boxes, columns=["patientId", "x", "y", "width", "height", "Target"]))
    save_table(folder / CLASSES, pd.DataFrame(classes, columns=["patientId", "class"]))
    return fetch(folder)


def draw(number: int, native: int, seed: int, *, opacities: bool) -> tuple[np.ndarray, list[tuple[float, ...]]]:
    """One chest, uint8 (native, native), and the boxes of its opacities in pixels: x, y, width, height."""
    random = rng(seed, "pneumonia", number)
    chest = chests.draw(random, native)
    image = chest.image
    boxes = []
    if opacities:
        for side in random.permutation([-1, 1])[: random.integers(1, 3)]:
            centre = side * random.uniform(0.3, 0.45), random.uniform(-0.3, 0.42)
            radii = random.uniform(0.14, 0.28), random.uniform(0.18, 0.36)
            spot = chests.spot(random, chest, centre, radii)
            image = chests.clouded(random, image, spot, random.uniform(0.12, 0.55))
            rows, columns = (np.flatnonzero((spot > 0.3).any(axis)) for axis in (1, 0))
            if len(rows):
                boxes.append((columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1))
    image = image + 0.012 * random.standard_normal(image.shape, np.float32)
    return np.clip(image * 255 / 0.95, 0, 255).astype(np.uint8), [tuple(map(float, box)) for box in boxes]


def _write(path: Path, pixels: np.ndarray, patient: str, view: str) -> None:
    """A DICOM of the challenge's make: secondary capture, 8 bits, JPEG baseline."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = SecondaryCaptureImageStorage, JPEGBaseline8Bit
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[patient])
    with replacing(path) as aside:
        data = FileDataset(str(aside), {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, meta.MediaStorageSOPInstanceUID
        data.PatientID = data.PatientName = patient
        data.Modality, data.BodyPartExamined, data.ViewPosition = "CR", "CHEST", view
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
        data.Rows, data.Columns = pixels.shape
        data.BitsAllocated, data.BitsStored, data.HighBit = 8, 8, 7
        coded = memory.BytesIO()
        Image.fromarray(pixels).save(coded, "JPEG", quality=95)
        data.PixelData = encapsulate([coded.getvalue()])
        data["PixelData"].is_undefined_length = True
        data.save_as(aside, enforce_file_format=True)


def prepare(files: list[Path], *, size: int = 224) -> Part:
    """X-rays resized with antialiasing, each scaled to [0, 1] by its darkest and brightest pixel, and their masks.

    Args:
        files: those of a unit, images and tables.
        size: side of the prepared image in pixels.
    """
    tables = {file.name: file for file in files if file.suffix in (".csv", ".json")}
    classes, boxes = _classes(tables[CLASSES]), _boxes(tables[BOXES])
    splits = published(tables[SPLIT], "image") if SPLIT in tables else {}
    people = _patients(tables[PATIENTS]) if PATIENTS in tables else {}
    made, masks, rows = [], [], []
    for file in (file for file in files if file.name not in tables):
        name = file.stem
        pixels, view = _read(file)
        label = LABELS[classes[name]]
        if label and name not in boxes:
            raise BadInput(f"{tables[BOXES]}: {name} is of class Lung Opacity and has no box; get the table again")
        made.append(_seen(pixels, size))
        masks.append(_mask(boxes.get(name, []) if label else [], pixels.shape[1:], size, file))
        patient = people.get(name, name)
        # A published split is of images: as of their patients some are in two of its parts, which would be refused.
        row = {
            "subject": name if splits else patient,
            "patient": patient,
            "name": name,
            "label": label,
            "has_truth": bool(label),
            "view": view,
        }
        if splits:
            if name not in splits:
                raise BadInput(f"{tables[SPLIT]} does not name the image {name}; remove the file to draw a split")
            row["split"] = splits[name]
        rows.append(row)
    return Part(np.stack(made), np.stack(masks), pd.DataFrame(rows))


def image(file: Path, *, size: int = 224) -> np.ndarray:
    """What networks see of a file, (channel, size, size); the settings are those of ``prepare``."""
    return _seen(_read(file)[0], size)


def _seen(pixels: np.ndarray, size: int) -> np.ndarray:
    return images.stretched(images.resize(pixels, size)).astype(np.float32)


def _read(file: Path) -> tuple[np.ndarray, str]:
    """The pixels, float32 (1, height, width), bright where bone is, and the view where the file says it."""
    if file.suffix == ".png":
        return images.to_channels(images.read(file)[0], 1), ""
    try:
        data = pydicom.dcmread(file)
    except Exception as error:  # whatever a broken file makes of it
        raise BadInput(f"{file} cannot be read as DICOM ({error}); get it again, or take it out") from error
    if "PixelData" not in data:
        raise BadInput(f"{file} is a DICOM without pixel data; get it again, or take it out")
    try:
        pixels = data.pixel_array.astype(np.float32)
    except Exception as error:
        raise BadInput(f"{file}: its pixels cannot be decoded ({error}); get it again, or take it out") from error
    if pixels.ndim != 2:
        raise BadInput(f"{file} holds pixels of shape {pixels.shape}, not one grey image")
    if data.PhotometricInterpretation == "MONOCHROME1":  # stored as a negative
        pixels = pixels.max() - pixels
    return pixels[None], str(data.get("ViewPosition", ""))


def _mask(boxes: list[tuple[float, ...]], space: tuple[int, ...], size: int, file: Path) -> np.ndarray:
    """The union of boxes, uint8 (1, size, size); corners are cut to whole pixels after scaling."""
    mask, (height, width) = np.zeros((1, size, size), np.uint8), space
    for x, y, w, h in boxes:
        if min(x, y) < 0 or x + w > width or y + h > height or min(w, h) <= 0:
            raise BadInput(f"{file.name}: the box at {x:g}, {y:g} of {w:g}×{h:g} leaves the image of {width}×{height}")
        left, right = (int(each * size / width) for each in (x, x + w))
        top, bottom = (int(each * size / height) for each in (y, y + h))
        mask[0, top:bottom, left:right] = 1
    return mask


def _classes(file: Path) -> dict[str, str]:
    """Image → class."""
    table = _columns(load_table(file, text=["patientId", "class"]), file, "patientId", "class")
    classes = dict(zip(table["patientId"], table["class"], strict=True))
    known = {*LABELS, "No Lung Opacity / Not Normal"}
    if wrong := sorted({str(name) for name in classes.values()} - known):
        raise BadInput(f"{file}: the classes {wrong} are none of {sorted(known)}")
    return classes


def _boxes(file: Path) -> dict[str, list[tuple[float, ...]]]:
    """Image → x, y, width and height of each of its boxes."""
    sides = ["x", "y", "width", "height"]
    table = _columns(load_table(file, text=["patientId"]), file, "patientId", *sides).dropna(subset=sides)
    return {name: list(rows[sides].itertuples(index=False, name=None)) for name, rows in table.groupby("patientId")}


def _patients(file: Path) -> dict[str, str]:
    """Image → patient, the first part of the name that the image has at the NIH."""
    table = _columns(load_table(file, text=["nih_image", "patientId"]), file, "nih_image", "patientId")
    return dict(zip(table["patientId"], table["nih_image"].str.partition("_")[0], strict=True))


def _columns(table: pd.DataFrame, file: Path, *names: str) -> pd.DataFrame:
    if missing := [name for name in names if name not in table]:
        raise BadInput(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table
