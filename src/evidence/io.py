"""Arrays, tables and manifests on disk. Written aside and moved into place; NumPy and pandas, no torch."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evidence.errors import BadInput, near


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place if the block ends well and vanishes if it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{os.getpid()}.tmp.{path.name}")  # the name last: libraries know formats by its end
    try:
        yield aside
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def save_array(path: Path | str, array: np.ndarray) -> None:
    """Write one ``.npy``."""
    with replacing(path) as aside, open(aside, "wb") as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def load_array(path: Path | str) -> np.ndarray:
    """Read one ``.npy`` as a read-only memory map: nothing is loaded before it is indexed."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make it first, or correct the path") from error
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} is not a whole .npy file ({error}); delete it and make it again") from error


def load_maps(reference: Path | str) -> np.ndarray:
    """A method's maps, (explained sample, 1, *space), as a memory map: ``path``, or ``path#name`` where there are many.

    Their names are in the metadata of ``samples.parquet`` beside them.
    """
    path, _, name = str(reference).partition("#")
    maps = load_array(path)
    if maps.shape[1] == 1 and not name:
        return maps
    names = _names(path)
    if name not in names:
        raise BadInput(f"{path} has no map {name!r}; {near(name, names)}; name one with {path}#NAME")
    place = names.index(name)
    return maps[:, place : place + 1]


def map_names(path: Path | str) -> list[str]:
    """The names of a method's maps; one that is empty where there is but one map."""
    kinds = load_array(path).shape[1]
    names = [""] if kinds == 1 else _names(path)
    if len(names) != kinds:
        raise BadInput(
            f"{path} holds {kinds} maps an image, and samples.parquet beside it names {len(names)}; draw again"
        )
    return names


def _names(path: Path | str) -> list[str]:
    return json.loads(load_samples(path).attrs.get("maps", "[]"))


def load_samples(path: Path | str) -> pd.DataFrame:
    """A method's table, one row an explained sample: it lies beside its maps, whose path this is."""
    return load_table(Path(path).with_name("samples.parquet"))


def load_range(info: Path | str) -> str:
    """The range of a dataset's intensities, ``[-1, 1]``, from the facts that ``pack`` wrote; empty where it is not."""
    found = load_json(info).get("range")
    return json.dumps(found) if found else ""


def load_truth(path: Path | str) -> np.ndarray | None:
    """The truth of a dataset; None where it has none, which ``pack`` writes as an array without samples."""
    truth = load_array(path)
    return truth if len(truth) else None


def save_table(path: Path | str, table: pd.DataFrame, **facts: Any) -> None:
    """Write parquet, or CSV where the name says so. ``facts`` travel in the parquet's metadata."""
    if facts:
        table = table.copy()
        table.attrs = dict(facts)
    with replacing(path) as aside:
        if Path(path).suffix == ".csv":
            table.to_csv(aside, index=False)
        else:
            table.to_parquet(aside, index=False)


def load_table(path: Path | str, text: Sequence[str] = ()) -> pd.DataFrame:
    """Read parquet or CSV; the facts stand in ``.attrs``. CSV knows no types: ``text`` names columns of words."""
    try:
        if Path(path).suffix == ".csv":
            return pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(text, str))
        return pd.read_parquet(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make it first, or correct the path") from error
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} cannot be read as a table ({error}); delete it and make it again") from error


def load_scores(reference: Path | str, load: Callable[[str], pd.DataFrame] = load_table) -> pd.DataFrame:
    """The scores of one map, sample, at and value: ``path``, or ``path#name`` where a method has many. ``load`` reads
    the file, for those that read several maps of it."""
    path, _, name = str(reference).partition("#")
    table = load(path)
    if "map" not in table:
        raise BadInput(f"{path} was made by an older version, which kept each map apart; delete it and score again")
    found = table[table["map"] == name].drop(columns="map")
    if found.empty:
        names = sorted(set(table["map"]) - {""})
        there = near(name, names) if names else f"its only map has no name: {path} alone"
        raise BadInput(f"{path} has no scores of a map {name!r}; {there}")
    return found


def save_text(path: Path | str, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def as_json(facts: Mapping[str, Any] | Sequence[Any]) -> str:
    return json.dumps(facts, sort_keys=True, default=str)


def save_json(path: Path | str, facts: Mapping[str, Any]) -> None:
    save_text(path, json.dumps(facts, indent=2, sort_keys=True, default=str) + "\n")


def load_json(path: Path | str) -> dict[str, Any]:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make it first, or correct the path") from error
    except ValueError as error:
        raise BadInput(f"{path} is not whole JSON ({error}); delete it and make it again") from error


# --- manifests: which raw files a dataset has -------------------------------------------------------------------------

# A dataset's raw files in units, the smallest groups that are prepared together (an image and its mask; a patient).
Units = Mapping[str, Sequence[Path]]


def sha256(path: Path | str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save_manifest(path: Path | str, root: Path, units: Units, **facts: str) -> None:
    """Write unit, path below ``root``, sha256 and size of each raw file, and one column for each of ``facts``."""
    if not units:
        raise BadInput(
            f"{root} holds no file that this dataset can use; scripts/fetch.py <dataset> --help says which it can"
        )
    rows = [
        {"unit": unit, "path": file.relative_to(root).as_posix(), "sha256": sha256(file), "bytes": file.stat().st_size}
        for unit, files in units.items()
        for file in files
    ]
    save_table(path, pd.DataFrame(rows).assign(**facts))


def load_manifest(path: Path | str) -> pd.DataFrame:
    words = ("unit", "path", "sha256")  # a unit may be called 0012
    table = load_table(path, text=words)
    if missing := set(words) - set(table.columns):
        raise BadInput(f"{path} is no manifest: it lacks {', '.join(sorted(missing))}; run fetch or simulate again")
    return table


def part_of(manifest: pd.DataFrame, part: int, parts: int) -> list[str]:
    """The units of one part of a manifest: consecutive, so that the parts in order are the manifest in order."""
    units = list(dict.fromkeys(manifest["unit"]))
    return [str(unit) for unit in np.array_split(np.array(units, dtype=object), parts)[part]]


def checked(root: Path, manifest: pd.DataFrame, unit: str) -> list[Path]:
    """The raw files of a unit, each compared with the manifest before anyone reads it."""
    files = []
    for row in manifest[manifest["unit"] == unit].itertuples():
        file = root / row.path
        if not file.is_file():
            raise BadInput(
                f"{file} stands in the manifest but not on disk; bring it back, or: snakemake --forcerun fetch"
            )
        if sha256(file) != row.sha256:
            changed = f"{file} is not the file that the manifest recorded (its sha256 differs)"
            raise BadInput(f"{changed}; restore it, or list the files anew: snakemake --forcerun fetch")
        files.append(file)
    return files
