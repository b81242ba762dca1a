"""The loop around an attribution method: batches, seeds and seconds an image, progress, going on after a stop."""

import inspect
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from evidence import io, machine, resuming, signatures, sources, weights
from evidence.cli import Call
from evidence.errors import BadInput
from evidence.networks.lean import folded
from evidence.progress import chunks
from evidence.provenance import commit
from evidence.resuming import Clock, Keeper, setting, told_to_stop
from evidence.seeds import stream
from evidence.shapes import Images

Columns = dict[str, np.ndarray]  # name → (image) or (image, numbers)

BATCH = 50  # images explained at once, or EVIDENCE_BATCH; no result depends on it


@dataclass(frozen=True)
class Beside:
    """What some methods ask for beside images and networks; arrays may be memory maps.

    Args:
        truth: that of the images, which only a ceiling asks for.
        inverted: the table of an inversion of the same images, whose latents some methods start from, and whose column
            ``valid`` becomes theirs.
        donors: other images, which some methods take pixels from.
    """

    truth: np.ndarray | None = None
    inverted: pd.DataFrame | None = None
    donors: Images | None = None

    def of(self, rows: slice, wanted: Collection[str]) -> dict[str, Any]:
        """What of it is wanted, for some of the images."""
        found = {}
        if "truth" in wanted:
            found["truth"] = machine.to_device(torch.from_numpy(np.array(self.truth[rows], np.float32)))
        if "latents" in wanted:
            latents = np.stack(self.inverted["latents"].iloc[rows])
            found["latents"] = torch.from_numpy(latents).to(machine.device())
        if "donors" in wanted:
            found["donors"] = self.donors
        return found


NOTHING = Beside()


def fewer(explained: np.ndarray, most: int) -> np.ndarray:
    """``most`` of the explained samples, 0 for all, in their order: for a method that takes long. Whoever asks for more
    of them gets the same ones, and others."""
    order = np.random.default_rng(0).permutation(len(explained))
    return explained[np.sort(order[: most or None])]


def draw(
    call: Call,
    images: Images,
    samples: np.ndarray,
    maps: Path | str,
    table: Path | str,
    *,
    seed: int,
    depends: Mapping[str, Any],
    ranges: Mapping[str, str] | None = None,
    beside: Beside = NOTHING,
    **facts: Any,
) -> None:
    """Write the maps of the method that is called for to ``maps`` (npy), and what it measured to ``table`` (parquet),
    whose facts say how: see ``explain``. What was stopped goes on from a state beside the maps, if all that the result
    ``depends`` on is the same. Networks are refused that are for another range of intensities than the images:
    ``ranges`` has a file and the range that it says.
    """
    names, output, networks = signatures.maps(call.name), Path(maps), weights.load_all(call.networks, ranges)
    recipe = resuming.recipe(
        *sources.of_module("attribution", call.name),
        networks=call.networks,
        method=call.name,
        options=call.options,
        seed=seed,
        **depends,
    )
    with resuming.only_one(output.parent):
        machine.prepare()
        state = output.with_name("state.npz")
        found, measured = explain(
            call.module.attribute,
            images,
            samples,
            networks,
            call.options,
            seed=seed,
            state=state,
            recipe=recipe,
            kinds=max(1, len(names)),
            beside=beside,
            unfolded=getattr(call.module, "UNFOLDED", ()),
            batch=getattr(call.module, "AT_ONCE", 0),
        )
        io.save_array(output, found)
        facts |= {
            "method": call.name,
            "options": io.as_json(call.options),
            "networks": io.as_json(call.networks),
            "seed": seed,
            "maps": io.as_json(names),
            "machine": machine.describe(),
            "commit": commit(),
        }
        io.save_table(table, measured, **facts)
        state.unlink(missing_ok=True)


def explain(
    attribute: Callable[..., Any],
    images: Images,
    samples: np.ndarray,
    networks: Mapping[str, nn.Module],
    options: Mapping[str, Any],
    *,
    seed: int,
    state: Path,
    recipe: str,
    batch: int = 0,
    kinds: int = 1,
    beside: Beside = NOTHING,
    unfolded: Collection[str] = (),
) -> tuple[np.ndarray, pd.DataFrame]:
    """Maps of all images, float32 (image, kind of map, *space), and a table: sample, seconds, prediction, the method's
    columns.

    ``prediction`` is the classifier's probability of class 1, of more than two classes that of the class it decides
    for, NaN for methods without a classifier. ``images`` may be a memory map. Networks arrive with their batch
    normalisations folded away, but for roles that stay ``unfolded``. Where a run was stopped, finished batches are read
    back from ``state`` if it is of the same ``recipe``; of a method that asks for a ``keeper``, the iterations of the
    batch it was at too.
    """
    count, batch = len(samples), batch or max(1, int(setting("EVIDENCE_BATCH", BATCH)))
    maps = np.zeros((count, kinds, *images.shape[2:]), np.float32)
    columns: Columns = {"seconds": np.full(count, np.nan), "prediction": np.full(count, np.nan)}
    done = _resume(state, recipe, maps, columns)
    clock = Clock()
    wanted = inspect.signature(attribute).parameters
    networks = {
        role: machine.place(network if role in unfolded else folded(network)) for role, network in networks.items()
    }
    with machine.evaluation(*networks.values()), told_to_stop() as stopped:
        for part in chunks(count - done, batch, "explaining"):
            rows = slice(part.start + done, part.stop + done)
            began = time.perf_counter()
            batch_images = machine.to_device(torch.from_numpy(np.array(images[rows], np.float32)))
            given = beside.of(rows, wanted)
            if "streams" in wanted:
                given["streams"] = [stream(seed, "sample", int(s)) for s in samples[rows]]
            if "keeper" in wanted:  # the batch takes long: what was finished before it is kept first
                _save(state, recipe, maps, columns, rows.start)
                aside = state.with_name(f"{state.stem}-batch.npz")
                given["keeper"] = Keeper(aside, f"{recipe} {rows.start} {rows.stop}", stopped)
            found = attribute(batch_images, **given, **networks, **options)
            found, measured = found if isinstance(found, tuple) else (found, {})
            maps[rows] = found.detach().float().cpu().numpy()
            measured = {"seconds": (time.perf_counter() - began) / (rows.stop - rows.start), **measured}
            if "classifier" in networks:
                measured["prediction"] = _probability(networks["classifier"], batch_images)
            if "latents" in wanted:
                measured["valid"] = beside.inverted["valid"].iloc[rows].to_numpy()
            _fill(columns, count, rows, measured)
            if stopped or clock.due():
                _save(state, recipe, maps, columns, rows.stop)
                clock.reset()
            if "keeper" in wanted:
                given["keeper"].forget()
            if stopped:
                raise SystemExit(f"stopped by a signal after {rows.stop} images; the same command goes on from {state}")
    if not np.isfinite(maps).all():
        wrong = samples[~np.isfinite(maps).all(axis=tuple(range(1, maps.ndim)))]
        raise BadInput(f"the maps of samples {wrong[:5].tolist()} are not finite; check the network's training history")
    return maps, pd.DataFrame({"sample": samples, **{name: list(values) for name, values in columns.items()}})


@torch.no_grad()
def _probability(classifier: nn.Module, images: torch.Tensor) -> torch.Tensor:
    probabilities = classifier(images).softmax(1)
    return probabilities[:, 1] if probabilities.shape[1] == 2 else probabilities.amax(1)


def _fill(columns: Columns, count: int, rows: slice, measured: Mapping[str, Any]) -> None:
    """Enter what a batch measured: a number an image, or several (latents)."""
    for name, values in measured.items():
        values = values.detach().cpu().numpy() if torch.is_tensor(values) else np.asarray(values)
        if name not in columns:
            kind = np.float64 if values.ndim < 2 else np.float32
            columns[name] = np.full((count, *values.shape[1:]), np.nan, kind)
        columns[name][rows] = values


def _save(path: Path, recipe: str, maps: np.ndarray, columns: Columns, done: int) -> None:
    kept = {f"column {name}": values[:done] for name, values in columns.items()}
    with io.replacing(path) as aside:
        np.savez(aside, recipe=recipe, done=done, maps=maps[:done], **kept)


def _resume(path: Path, recipe: str, maps: np.ndarray, columns: Columns) -> int:
    """Fill in what an interrupted run of the same recipe had finished; the number of images it had."""
    if not path.exists():
        return 0
    with np.load(path, allow_pickle=False) as saved:
        if str(saved["recipe"]) != recipe:
            print(f"{path} is of another recipe; starting from the first image", flush=True)
            return 0
        done = int(saved["done"])
        maps[:done] = saved["maps"]
        kept = {name.removeprefix("column "): saved[name] for name in saved.files if name.startswith("column ")}
    _fill(columns, len(maps), slice(0, done), kept)
    if done:
        print(f"going on from {path} after {done} images", flush=True)
    return done
