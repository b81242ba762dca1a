"""Drawn faces, which the phantoms of photographs share: smiling or not, from the front, one like no other."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from scipy.ndimage import gaussian_filter

from evidence.images import Resampling, resize

SKIN = np.array([(0.97, 0.82, 0.72), (0.90, 0.70, 0.56), (0.76, 0.55, 0.40), (0.55, 0.37, 0.26), (0.38, 0.25, 0.18)])
HAIR = {
    "Black": (0.07, 0.06, 0.06),
    "Brown": (0.30, 0.18, 0.10),
    "Blond": (0.80, 0.64, 0.38),
    "Gray": (0.64, 0.63, 0.62),
}
IRIS = np.array([(0.25, 0.14, 0.07), (0.35, 0.24, 0.10), (0.25, 0.40, 0.55), (0.30, 0.42, 0.28)])


@dataclass
class Portrait:
    """A face.

    Attributes:
        image: float32 (3, native, native), RGB from 0 to 1.
        hair: its colour, a key of ``HAIR``.
        glasses: whether they are worn.
        beard: whether one is.
        parted: whether the lips are.
    """

    image: np.ndarray
    hair: str
    glasses: bool
    beard: bool
    parted: bool


class Canvas:
    """A picture that is painted layer by layer, in a face's own coordinates.

    Between the eyes and the mouth u and v are 0; u is 1 a little beyond the right ear, v is 1 at the chin.
    """

    def __init__(self, native: int, centre: tuple[float, float], scale: float, tilt: float):
        axis, (across, down) = np.linspace(-1, 1, native, dtype=np.float32), centre
        x, y = (axis[None] - across) / scale, (axis[:, None] - down) / scale
        self.u, self.v = cos(tilt) * x + sin(tilt) * y, cos(tilt) * y - sin(tilt) * x
        self.pixel = 2 / native / scale
        self.image = np.zeros((3, native, native), np.float32)

    def paint(self, colour: np.ndarray | tuple[float, ...], where: np.ndarray) -> None:
        """Cover with a colour (3), one a pixel or one for all, where ``where`` is 1; partly where it is less."""
        colour = np.asarray(colour, np.float32)
        self.image += where * (colour.reshape(3, *colour.shape[1:] or (1, 1)) - self.image)

    def shade(self, factor: float | np.ndarray, where: np.ndarray) -> None:
        """Darken, or brighten, what is there."""
        self.image *= 1 + where * (factor - 1)

    def inside(self, distance: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """1 where the distance from a border is negative, 0 where it is positive, over a blur of two pixels or more."""
        return np.clip(0.5 - distance / max(blur, 2 * self.pixel), 0, 1)

    def oval(self, u: float, v: float, wide: float, high: float, blur: float = 0.0) -> np.ndarray:
        """An ellipse, by its middle and its half axes."""
        away = np.hypot((self.u - u) / wide, (self.v - v) / high) - 1
        return self.inside(away * min(wide, high), blur)

    def glow(self, u: float, v: float, wide: float, high: float) -> np.ndarray:
        """A spot without a border."""
        return np.exp(-(((self.u - u) / wide) ** 2) - ((self.v - v) / high) ** 2)


def draw(random: np.random.Generator, native: int, *, smiling: bool, close: bool = False) -> Portrait:
    """One face, from the front. With another mouth, and the cheeks that go with it, it is the same to the last bit.

    Args:
        random: where all that differs between faces comes from; a smile takes as many numbers from it as no smile.
        native: side of the image in pixels.
        smiling: whether the corners of the mouth go up, mostly with teeth between; else they stay or go down.
        close: whether the face fills the picture; else there are hair, shoulders and a background.
    """
    centre = random.normal(0, 0.04), random.normal(0.02 if close else 0.13, 0.04)
    face = Canvas(native, centre, random.uniform(*((1.08, 1.25) if close else (0.62, 0.74))), random.normal(0, 0.07))
    tone = random.beta(1.2, 1.8) * (len(SKIN) - 1)
    hair = str(random.choice(list(HAIR), p=(0.25, 0.35, 0.28, 0.12) if tone < 2 else (0.8, 0.1, 0, 0.1)))
    skin = np.array([np.interp(tone, range(len(SKIN)), channel) for channel in SKIN.T]) * random.uniform(0.9, 1.03)
    strands = np.array(HAIR[hair]) * random.uniform(0.8, 1.15)
    width, yaw = random.uniform(0.72, 0.8), random.normal(0, 0.06)  # of the head, and how far it is turned
    long = bool(random.random() < 0.5)
    glasses, beard = bool(random.random() < 0.15), bool(not long and random.random() < 0.3)
    _background(random, face)
    _head(random, face, skin, strands, width, yaw, long)
    face.u = face.u - yaw  # what is in the face turns farther than the head
    _nose(random, face, skin)
    if beard:
        _beard(random, face, strands)
    _eyes(random, face, skin, strands)
    if glasses:
        _glasses(random, face)
    side, strength = random.uniform(-0.8, 0.8), random.uniform(0.1, 0.35)
    light = 1 + strength * (side * face.u - 0.35 * face.v)
    gain, gamma = random.uniform(0.85, 1.1), float(np.exp(random.normal(0, 0.15)))
    parted = _mouth(random, face, skin, smiling)
    noise = 0.01 * random.standard_normal((native, native), np.float32)  # last: all else is the same at every size
    image = gain * np.clip(face.image * light, 0, 1) ** gamma
    image = gaussian_filter(image, (0, native / 400, native / 400)) + noise
    return Portrait(np.clip(image, 0, 1).astype(np.float32), hair, glasses, beard, parted)


def _background(random: np.random.Generator, face: Canvas) -> None:
    """Two colours that flow into each other, and a garment."""
    native = len(face.u)
    one, other = random.uniform(0.0, 0.35, (2, 3)) + random.uniform(0.05, 0.55, (2, 1))  # none of a strong colour
    mixed = np.clip(0.5 + 0.4 * cloud(random, 4, native) + 0.2 * face.u, 0, 1)
    face.paint(one, np.ones_like(mixed))
    face.paint(other, mixed)


def _head(
    random: np.random.Generator,
    face: Canvas,
    skin: np.ndarray,
    strands: np.ndarray,
    width: float,
    yaw: float,
    long: bool,
) -> None:
    """Hair behind, neck, garment, ears, the face itself, and the hair that falls into it."""
    u, v, native = face.u, face.v, len(face.u)
    curls = cloud(random, 9, native)
    locks = strands[:, None, None] * (1 + 0.15 * cloud(random, (5, 60), native) + 0.15 * curls)
    volume = random.uniform(0.08, 0.2)
    behind = face.oval(0.0, -0.3, width + volume, 0.92 + volume, 0.05)
    if long:
        fall = np.abs(u) - (width + volume) * (0.95 + 0.1 * np.sin(2.5 * v)) + 0.03 * curls
        ends = v - random.uniform(0.8, 1.6)
        behind = np.maximum(behind, face.inside(fall, 0.06) * face.inside(-0.3 - v, 0.1) * face.inside(ends, 0.15))
    face.paint(0.75 * locks, behind)

    neck = random.uniform(0.34, 0.46)
    column = face.inside(np.abs(u) - neck - 0.1 * np.clip(v - 1.1, 0, 1), 0.04) * face.inside(0.5 - v, 0.1)
    face.paint(0.8 * skin, column)
    face.paint(
        random.uniform(0.05, 0.9, (3, 1, 1)) * (1 + 0.08 * cloud(random, 12, native)),
        face.inside(1.28 + 0.35 * u**2 - v, 0.04),
    )
    for side in (-1, 1) if not long else ():
        face.paint(0.88 * skin, face.oval(side * (width + 0.02), 0.0, 0.09, 0.2))
        face.paint(0.65 * skin, face.oval(side * (width + 0.03), 0.0, 0.04, 0.12, 0.06))

    jaw = random.uniform(0.14, 0.28)
    narrow = width * (1 - jaw * np.clip(v - 0.1, 0, None) ** 1.5 - 0.06 * np.clip(-v - 0.3, 0, None))
    away = np.hypot(u / narrow, np.where(v > 0, v, v * 0.95)) - 1
    flesh = face.inside(away * 0.75)
    face.shade(0.7, column * face.inside(away * 0.75 - 0.05, 0.25))  # the chin's shadow
    face.paint(skin, flesh)
    depth = np.clip(1 + away, 0, 1) ** 4
    face.shade(0.72, flesh * depth)
    face.shade(1 + 0.04 * cloud(random, 10, native), flesh)
    for side in (-1, 1):
        face.shade(1.07, flesh * face.glow(side * 0.42 + yaw, 0.18, 0.2, 0.18))
    face.shade(1.08, flesh * face.glow(yaw, -0.65, 0.4, 0.2))

    line, parting = random.uniform(-0.82, -0.62), random.uniform(-0.4, 0.4)
    fringe = line - 0.25 * np.exp(-(((u - parting) / 0.3) ** 2)) + random.uniform(0.5, 0.9) * (u - 0.3 * parting) ** 2
    scalp = face.oval(0.0, -0.3, width + volume, 0.92 + volume, 0.05)
    if long:
        scalp = np.maximum(scalp, behind * face.inside(width - 0.1 * np.clip(v, 0, 1) - np.abs(u), 0.05))
    else:
        scalp = scalp * face.inside(v + 0.12, 0.2)
    face.paint(locks, scalp * face.inside(v - fringe + 0.03 * curls, 0.06))


def _nose(random: np.random.Generator, face: Canvas, skin: np.ndarray) -> None:
    """A bridge between shadows, a tip, wings and nostrils."""
    u, v = face.u, face.v
    wide, end = random.uniform(0.11, 0.15), random.uniform(0.17, 0.23)
    for side in (-1, 1):
        slope = side * u - 0.05 - (wide - 0.06) * np.clip((v + 0.3) / 0.5, 0, 1)
        face.shade(0.86, np.exp(-((slope / 0.05) ** 2)) * face.inside(np.abs(v + 0.05) - 0.28, 0.15))
        face.shade(0.8, face.glow(side * (wide + 0.01), end - 0.02, 0.04, 0.07))
        face.paint(0.3 * skin, 0.8 * face.oval(side * 0.55 * wide, end + 0.02, 0.04, 0.022, 0.03))
    face.shade(1.14, face.glow(0.01, -0.1, 0.035, 0.25))
    face.shade(1.12, face.glow(0.01, end - 0.08, 0.06, 0.06))
    face.shade(0.82, face.glow(0.0, end + 0.07, 0.13, 0.04))
    face.shade(0.93, face.glow(0.0, end + 0.14, 0.03, 0.06))


def _beard(random: np.random.Generator, face: Canvas, strands: np.ndarray) -> None:
    """Hair around the mouth, on the chin, or on the whole jaw."""
    u, v = face.u, face.v
    full, thick = random.random() < 0.5, random.uniform(0.5, 0.9)
    native = len(face.u)
    grain = 1 + 0.15 * cloud(random, (16, 60), native)
    around = face.inside(0.75 - np.hypot(u / 0.9, (v + 0.15) / 1.02), 0.15) * face.inside(0.1 - v, 0.3)
    ring = face.oval(0.0, 0.55, 0.4, 0.36, 0.12) * face.inside(0.28 - v, 0.08)
    where = np.maximum(around, ring) if full else ring
    chin = face.inside(np.hypot(u / 0.72, v / 0.98) - 1, 0.1)
    face.paint(0.8 * strands, thick * np.clip(grain * where * chin, 0, 1))


def _eyes(random: np.random.Generator, face: Canvas, skin: np.ndarray, strands: np.ndarray) -> None:
    """Sockets, the white, iris and pupil beneath lids, and brows."""
    u, v = face.u, face.v
    apart, level = random.uniform(0.31, 0.36), random.uniform(-0.27, -0.23)
    wide, open_ = random.uniform(0.13, 0.155), random.uniform(0.045, 0.075)
    gaze, iris = (
        [random.normal(0, 0.015) for _ in range(2)],
        IRIS[random.integers(len(IRIS))] * random.uniform(0.7, 1.2),
    )
    height, arch, thick = random.uniform(0.17, 0.22), random.uniform(0.02, 0.07), random.uniform(0.022, 0.045)
    brow = 0.5 * strands + 0.15 * skin
    for side in (-1, 1):
        middle = side * apart
        face.shade(0.8, face.glow(middle, level - 0.06, 0.2, 0.1))
        face.shade(0.9, face.glow(middle, level + 0.12, 0.17, 0.05))
        across = (u - middle) / wide
        upper = v - (level - open_ * (1 - across**2))
        lower = v - (level + 0.75 * open_ * (1 - across**2))
        slit = face.inside(-upper) * face.inside(lower) * face.inside(np.abs(across) - 1)
        face.paint((0.93, 0.91, 0.89), slit)
        round_ = np.hypot(u - middle - gaze[0], v - level - gaze[1] + 0.01)
        face.paint(iris, slit * face.inside(round_ - 0.068))
        face.paint((0.02, 0.02, 0.02), slit * face.inside(round_ - 0.032))
        face.paint(
            (1.0, 1.0, 1.0), 0.9 * face.oval(middle + gaze[0] + 0.02, level + gaze[1] - 0.03, 0.014, 0.014) * slit
        )
        lid = np.exp(-((upper / 0.016) ** 2)) * face.inside((np.abs(across) - 1.05) * wide, 0.03)
        face.paint(0.15 * skin, 0.85 * lid)
        fold = np.exp(-(((upper + 0.05) / 0.018) ** 2)) * face.inside((np.abs(across) - 1.0) * wide, 0.08)
        face.shade(0.75, fold)
        face.shade(0.8, np.exp(-((lower / 0.015) ** 2)) * face.inside((np.abs(across) - 0.95) * wide, 0.05))
        out = side * (u - middle) / (1.5 * wide)  # -1 at the inner end of the brow, 1 at the outer
        curve = v - (level - height - arch * (1 - (out - 0.3) ** 2) + 0.03 * out)
        taper = thick * np.clip(1.1 - 0.6 * np.clip(out, 0, None), 0.2, 1)
        face.paint(brow, 0.85 * face.inside(np.abs(curve) - taper, 0.03) * face.inside(np.abs(out) - 1, 0.15))


def _glasses(random: np.random.Generator, face: Canvas) -> None:
    """Two rims, a bridge and temples, dark."""
    u, v = face.u, face.v
    thick, squarish = random.uniform(0.015, 0.03), random.uniform(2, 4)
    rim = random.uniform(0.02, 0.3)
    for side in (-1, 1):
        away = (np.abs((u - 0.35 * side) / 0.25) ** squarish + np.abs((v + 0.22) / 0.18) ** squarish) ** (1 / squarish)
        face.paint((rim,) * 3, 0.95 * face.inside(np.abs(away - 1) * 0.2 - thick))
        face.paint((rim,) * 3, face.inside(np.abs(v + 0.26) - thick) * face.inside(np.abs(side * u - 0.7) - 0.1))
        face.shade(1.06, face.inside((away - 0.95) * 0.2))
    face.paint((rim,) * 3, face.inside(np.abs(v + 0.27) - thick) * face.inside(np.abs(u) - 0.1))


def _mouth(random: np.random.Generator, face: Canvas, skin: np.ndarray, smiling: bool) -> bool:
    """Lips, and what is between them; the cheeks that a smile lifts. Returns whether the lips are parted."""
    u, v = face.u, face.v
    some = random.uniform(size=8).tolist()
    level, full = 0.49 + 0.05 * some[0], 0.035 + 0.035 * some[1]
    red = skin * (0.92, 0.62 + 0.12 * some[2], 0.62 + 0.12 * some[2]) * (0.75 + 0.2 * some[3])
    if smiling:
        wide, lift, parted = 0.33 + 0.08 * some[4], 0.07 + 0.07 * some[5], some[6] < 0.8
        gap = (0.06 + 0.07 * some[7]) * parted
    else:
        wide, lift, parted = 0.23 + 0.07 * some[4], 0.02 - 0.05 * some[5], some[6] < 0.25
        gap = (0.02 + 0.05 * some[7]) * parted
    across = np.clip(u / wide, -1.2, 1.2)
    bow = np.clip(1 - across**2, 0, None)
    line = v - level + lift * across**2 - 0.5 * lift  # 0 along the middle of the mouth, whose corners are higher
    within = face.inside((np.abs(across) - 1) * wide)
    above, below = line + 0.4 * gap * bow, line - 0.6 * gap * bow
    crest = full * (0.9 - 0.35 * np.exp(-((u / 0.05) ** 2)) * (1 - smiling * 0.5)) * bow**0.6
    lips = face.inside(-above - crest) * face.inside(below - 1.25 * full * bow**0.7) * within
    if smiling:
        for side in (-1, 1):  # cheeks, and the fold from the nose to the corner
            face.shade(1.1, face.glow(side * 0.45, 0.16, 0.16, 0.12))
            fold = side * u - 0.19 - 0.24 * np.clip((v - 0.15) / 0.45, 0, 1) ** 0.7
            face.shade(0.84, np.exp(-((fold / 0.045) ** 2)) * face.inside(np.abs(v - 0.33) - 0.12, 0.25))
    face.paint(red, lips)
    face.shade(1.15, lips * face.glow(0.0, level + gap * 0.6 + 0.6 * full, 0.12, 0.03))
    if parted:
        hole = face.inside(-above) * face.inside(below) * within
        face.paint((0.16, 0.05, 0.05), hole)
        if smiling:
            teeth = hole * face.inside(line - 0.3 * gap * bow, 0.02)
            face.paint((0.95, 0.93, 0.88), 0.97 * teeth * face.inside(np.abs(across) - 0.9, 0.15))
            face.shade(0.93, teeth * (np.abs((u / 0.055 + 0.5) % 1 - 0.5) < 0.06))
    else:
        face.paint(0.35 * red, 0.8 * np.exp(-((line / 0.014) ** 2)) * within)
    for side in (-1, 1):
        face.shade(0.75, face.glow(side * wide, level - 0.5 * lift, 0.035, 0.03))
    face.shade(0.85, face.glow(0.0, level + 0.16 + 0.3 * gap, 0.16, 0.04))
    return bool(parted)


def cloud(random: np.random.Generator, cells: int | tuple[int, int], native: int) -> np.ndarray:
    """Smooth noise of about unit variance, with as many cells along both axes, or down and across."""
    down, across = (cells, cells) if isinstance(cells, int) else cells
    return 1.3 * resize(random.standard_normal((1, down, across), np.float32), native, Resampling.BICUBIC)[0]
