"""Chest X-rays of patients with COVID-19 and without, in place of those of medXGAN (Dravid et al., 2022).

The authors' X-rays, about 15,000 of one hospital (Wehbe et al., 2021), are not public, so no number from these can be
compared with theirs. Class 1 are the X-rays from the front (PA, AP, AP Supine) of the COVID-19 image data collection
whose finding names COVID-19. Class 0 are the collection's other findings, most of them other pneumonias, and, where
they are there too, the Normal ones of the RSNA Pneumonia Detection Challenge as the NIH released them. Two folders::

    collection/metadata.csv        collection/images/000001-12.jpg     patientid, finding, view, modality, filename
    nih/rsna_nih_mapping.csv       nih/nih_png/00000165_001.png        nih_image, class

Labels are per image, subjects are patients: some were X-rayed both with COVID-19 and without. X-rays whose files are
not there are passed over. Equal pixels are known by their digest; the same X-ray compressed anew is not. Four of
patient 97 are there again as patient 178, who is therefore taken for the same; there may be more.

Beware of what else tells the classes apart. All of class 1 come from one source, which took them from articles and
teaching cases, and all of the NIH from another, so a classifier can tell source from source. Arrows, letters and text
are burnt into some. Class and view are confounded: of the collection's class 1, half are PA, of its class 0, 78 %; the
NIH's views are not known here. To leave the NIH out, leave its folder out; to leave out the other pneumonias, set
``others`` to false.

Source: https://github.com/ieee8023/covid-chestxray-dataset (0.6 GB; in June 2020, commit 584034aa, 434 of class 1 and
104 of class 0); NIH ChestX-ray14, https://nihcc.app.box.com/v/ChestXray-NIHCC (42 GB), with RSNA's class of each, that
of https://www.kaggle.com/c/rsna-pneumonia-detection-challenge/data. Licence as stated: of the collection's images, each
its own, in the column ``license``: CC BY, BY-NC-SA, BY-NC-ND and others, for nearly half of class 1 none; of its table,
CC BY-NC-SA 4.0. NIH: no restriction, cite the paper, acknowledge the NIH Clinical Center; RSNA: non-commercial research
and education. References: Cohen et al., 2020, https://arxiv.org/abs/2003.11597; Wang et al., 2017,
https://arxiv.org/abs/1705.02315; Shih et al., 2019, https://doi.org/10.1148/ryai.2019180041.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from PIL import Image

from evidence import chests
from evidence.datasets import Part
from evidence.errors import BadInput
from evidence.images import digest, prepared, read
from evidence.io import Units, load_table, replacing, save_table
from evidence.seeds import rng

COHEN, NIH = ("metadata.csv", "images"), ("rsna_nih_mapping.csv", "nih_png")  # a table, and the folder of its images
VIEWS = ("PA", "AP", "AP Supine")
UNKNOWN = ("", "todo", "unknown")
SAME = {"178": "97"}  # a patient under two ids: eurorad.org/case/16660, and Radiopaedia
POSITIVE = "COVID-19"
TEN = (*[POSITIVE] * 4, "COVID-19, ARDS", "No Finding", "Streptococcus", "Klebsiella", "Normal", "Normal")
STORED = (("jpg", "RGB"), ("png", "RGBA"), ("jpg", "L"))  # as the collection has them
BY_HAND = (
    ". To get them: git clone https://github.com/ieee8023/covid-chestxray-dataset (0.6 GB, no account); how to put "
    "healthy chests of the NIH beside it stands at the head of src/evidence/datasets/covid.py"
)
TOGETHER = 500  # images in a unit, so that the tables are not read for each


def fetch(raw: Path, *, others: bool = True) -> Units:
    """The X-rays of both classes below ``raw``, in units of 500 with the tables that speak of them.

    Args:
        raw: the folder that holds metadata.csv and images/, or one in which these are one or two folders deep; those of
            the NIH, rsna_nih_mapping.csv and nih_png/, are found in the same way, and need not be there.
        others: whether the collection's X-rays of other findings are of class 0; else that is the NIH's alone.
    """
    tables = {names: _nearest(raw, *names) for names in (COHEN, NIH)}
    if tables[COHEN] is None:
        raise BadInput(f"{raw} holds no metadata.csv with images/ beside it, nor do the folders in it{BY_HAND}")
    files, labels, absent = [], set(), 0
    for (_, folder), table in tables.items():
        for row in _known(table).itertuples() if table else ():
            file = table.parent / folder / row.name
            if not (row.label or row.origin == "nih" or others):
                continue
            if not file.is_file():
                absent += 1
                continue
            files.append(file)
            labels.add(row.label)
    if absent:
        print(f"passed over: {absent} X-rays that the tables below {raw} name and that are not there")
    if 1 not in labels:
        raise BadInput(f"{tables[COHEN]}: none of the X-rays that it calls {POSITIVE} is in images/; get them again")
    if 0 not in labels:
        more = "" if others else ", or set others to true"
        raise BadInput(f"{raw} holds no X-ray without {POSITIVE}; put {' and '.join(NIH)}/ of the NIH there{more}")
    both = [table for table in tables.values() if table]
    parts = [files[start : start + TOGETHER] for start in range(0, len(files), TOGETHER)]
    return {f"{number:03d}": [*part, *both] for number, part in enumerate(parts)}


def _nearest(raw: Path, name: str, folder: str) -> Path | None:
    """The table with that folder beside it: in ``raw``, or else in just one folder in it, or else one deeper."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(file for file in raw.glob(depth + name) if (file.parent / folder).is_dir())
        if len(found) > 1:
            raise BadInput(f"{' and '.join(map(str, found))}: which one? Point the dataset at a folder that holds one")
        if found:
            return found[0]
    return None


def simulate(folder: Path, *, count: int = 400, native: int = 256, seed: int = 42, others: bool = True) -> Units:
    """Drawn chests in the same files. Of ten, five have hazy spots at the outer border of both lungs, low (COVID-19),
    two a dense one in one lung (another pneumonia), three are clear, two of these in the NIH's folder.

    Args:
        folder: where the two folders go.
        count: number of images, at least 10.
        native: side of an image in pixels.
        seed: of the images; each is a function of it and its number.
        others: as in fetch; what it leaves out is drawn too.
    """
    if count < 10:
        raise BadInput(f"a phantom of {count} images lacks some kinds of them; ask for a count of at least 10")
    cohen, nih = [], []
    for number in range(count):
        finding = TEN[number % 10]
        pixels = Image.fromarray(draw(number, finding, native, seed))
        if finding == "Normal":
            name = f"{number:08d}_000.png"
            nih.append((name, finding))
            _save(folder / "nih" / NIH[1] / name, pixels)
        else:
            ending, mode = STORED[number % 3]
            name, patient = f"{number:05d}.{ending}", f"{1000 + number // 2}"  # of ten, one has an image of each class
            cohen.append((patient, finding, VIEWS[number // 3 % 3], "X-ray", name))
            _save(folder / "cohen" / COHEN[1] / name, pixels.convert(mode))
    columns = ["patientid", "finding", "view", "modality", "filename"]
    save_table(folder / "cohen" / COHEN[0], pd.DataFrame(cohen, columns=columns))
    save_table(folder / "nih" / NIH[0], pd.DataFrame(nih, columns=["nih_image", "class"]))
    return fetch(folder, others=others)


def _save(file: Path, pixels: Image.Image) -> None:
    with replacing(file) as aside:
        pixels.save(aside, **({"quality": 95} if file.suffix == ".jpg" else {}))


def draw(number: int, finding: str, native: int, seed: int) -> np.ndarray:
    """One chest, uint8 (native, native); with another finding it is the same, but for the opacities."""
    random = rng(seed, "covid", number)
    chest = chests.draw(random, native)
    noise = 0.012 * random.standard_normal((native, native), np.float32)
    gain, gamma = random.uniform(0.75, 1.05), np.exp(random.normal(0, 0.3))  # exposures differ more than classes do
    image = chest.image
    if POSITIVE in finding:
        severity = random.uniform(0.1, 0.4)
        for side in (-1, 1):
            for _ in range(random.integers(2, 4)):
                centre = side * random.uniform(0.45, 0.6), random.uniform(-0.05, 0.45)
                radii = random.uniform(0.1, 0.2), random.uniform(0.12, 0.26)
                where = chests.spot(random, chest, centre, radii)
                image = chests.clouded(random, image, where, severity * random.uniform(0.7, 1.3))
    elif finding not in ("Normal", "No Finding"):
        centre = random.choice([-1, 1]) * random.uniform(0.25, 0.5), random.uniform(-0.4, 0.4)
        radii = random.uniform(0.16, 0.26), random.uniform(0.18, 0.34)
        image = chests.clouded(random, image, chests.spot(random, chest, centre, radii), random.uniform(0.3, 0.65))
    exposed = gain * np.clip(image / 0.95, 0, 1) ** gamma + noise
    return np.clip(exposed * 255, 0, 255).astype(np.uint8)


def prepare(files: list[Path], *, size: int = 128, channels: Literal[1, 3] = 1) -> Part:
    """X-rays, [0, 255] to [-1, 1], resized with antialiasing, the aspect ratio not kept. There are no masks.

    Args:
        files: those of a unit, images and tables.
        size: side of the prepared image in pixels; medXGAN has 128.
        channels: 1, or 3 as medXGAN has, equal ones but for coloured marks.
    """
    tables = [file for file in files if file.suffix == ".csv"]
    known = pd.concat(map(_known, tables)).set_index(["origin", "name"], drop=False)
    made, rows = [], []
    for file in (file for file in files if file not in tables):
        pixels, limits = read(file)
        made.append(prepared(pixels, limits, size, channels))
        origin = "nih" if file.parent.name == NIH[1] else "cohen"
        rows.append({**known.loc[origin, file.name], "content": digest(pixels, limits)})
    return Part(np.stack(made), None, pd.DataFrame(rows))


def image(file: Path, *, size: int = 128, channels: Literal[1, 3] = 1) -> np.ndarray:
    """What networks see of a file, (channel, size, size); the settings are those of ``prepare``."""
    return prepared(*read(file), size, channels)


def _known(file: Path) -> pd.DataFrame:
    """What either table knows of each X-ray that is of a class: subject, label, finding, view, origin, name."""
    return _cohen(file) if file.name == COHEN[0] else _nih(file)


def _cohen(file: Path) -> pd.DataFrame:
    table = _columns(file, "patientid", "finding", "view", "modality", "filename")
    finding = table["finding"].fillna("")
    told = ~finding.str.lower().isin(UNKNOWN)
    table = table[told & (table["modality"] == "X-ray") & table["view"].isin(VIEWS)].dropna(subset="filename")
    if (nobody := table["patientid"].isna()).any():
        raise BadInput(f"{file} has no patientid for {table.loc[nobody, 'filename'].iloc[0]}; fill it in")
    made = pd.DataFrame(
        {
            "subject": "cohen-" + table["patientid"].replace(SAME),
            "label": table["finding"].str.contains(POSITIVE, regex=False).astype(int),
            "finding": table["finding"],
            "view": table["view"],
            "origin": "cohen",
            "name": table["filename"],
        }
    )
    for name, rows in made[made["name"].duplicated(keep=False)].groupby("name"):
        if rows["label"].nunique() > 1:
            raise BadInput(f"{file} names {name} in rows of both classes, {' and '.join(rows['finding'])}; remove one")
    return made.drop_duplicates("name")


def _nih(file: Path) -> pd.DataFrame:
    table = _columns(file, "nih_image", "class")
    table = table[table["class"] == "Normal"]
    made = {
        "subject": "nih-" + table["nih_image"].str.partition("_")[0],
        "label": 0,
        "finding": table["class"],
        "view": "",
        "origin": "nih",
        "name": table["nih_image"],
    }
    return pd.DataFrame(made).drop_duplicates("name")


def _columns(file: Path, *names: str) -> pd.DataFrame:
    table = load_table(file, text=names)
    if missing := [name for name in names if name not in table]:
        raise BadInput(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(table.columns)}")
    return table
