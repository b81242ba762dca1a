"""The loop around an attribution method: batches, seeds and seconds an image, progress, going on after a stop."""

import inspect
import io as memory
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from evidence import io, machine
from evidence.errors import BadInput
from evidence.networks.lean import folded
from evidence.progress import chunks
from evidence.resuming import Clock, setting, told_to_stop
from evidence.seeds import stream
from evidence.shapes import Images

BATCH = 50  # images explained at once, or EVIDENCE_BATCH; no result depends on it


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
    truth: np.ndarray | None = None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Maps of all images, float32 (image, kind of map, *space), and a table: sample, seconds, prediction, the method's
    columns.

    ``prediction`` is the classifier's probability of class 1, NaN for methods without a classifier. ``images`` may be a
    memory map, as may ``truth``, which only a ceiling asks for. Where a run was stopped, finished batches are read back
    from ``state`` if it is of the same ``recipe``.
    """
    count, batch = len(samples), batch or max(1, int(setting("EVIDENCE_BATCH", BATCH)))
    maps = np.zeros((count, kinds, *images.shape[2:]), np.float32)
    table = pd.DataFrame({"sample": samples, "seconds": np.nan, "prediction": np.nan})
    done = _resume(state, recipe, maps, table)
    clock = Clock()
    wanted = inspect.signature(attribute).parameters
    networks = {role: machine.place(folded(network)) for role, network in networks.items()}
    with machine.evaluation(*networks.values()), told_to_stop() as stopped:
        for part in chunks(count - done, batch, "explaining"):
            rows = slice(part.start + done, part.stop + done)
            began = time.perf_counter()
            batch_images = machine.to_device(torch.from_numpy(np.array(images[rows], np.float32)))
            beside = {}
            if "streams" in wanted:
                beside["streams"] = [stream(seed, "sample", int(s)) for s in samples[rows]]
            if "truth" in wanted:
                beside["truth"] = torch.from_numpy(np.array(truth[rows], np.float32)).to(batch_images.device)
            found = attribute(batch_images, **beside, **networks, **options)
            found, columns = found if isinstance(found, tuple) else (found, {})
            maps[rows] = found.detach().float().cpu().numpy()
            columns = {"seconds": (time.perf_counter() - began) / (rows.stop - rows.start), **columns}
            if "classifier" in networks:
                columns["prediction"] = _probability(networks["classifier"], batch_images)
            for name, values in columns.items():
                table.loc[table.index[rows], name] = values.cpu().numpy() if torch.is_tensor(values) else values
            if stopped or clock.due():
                _save(state, recipe, maps, table, rows.stop)
                clock.reset()
            if stopped:
                raise SystemExit(f"stopped by a signal after {rows.stop} images; the same command goes on from {state}")
    if not np.isfinite(maps).all():
        wrong = samples[~np.isfinite(maps).all(axis=tuple(range(1, maps.ndim)))]
        raise BadInput(f"the maps of samples {wrong[:5].tolist()} are not finite; check the network's training history")
    return maps, table


@torch.no_grad()
def _probability(classifier: nn.Module, images: torch.Tensor) -> torch.Tensor:
    return classifier(images).softmax(1)[:, 1]


def _save(path: Path, recipe: str, maps: np.ndarray, table: pd.DataFrame, done: int) -> None:
    rows = memory.BytesIO()
    table.to_parquet(rows, index=False)
    with io.replacing(path) as aside:
        np.savez(aside, recipe=recipe, done=done, maps=maps[:done], table=np.frombuffer(rows.getvalue(), np.uint8))


def _resume(path: Path, recipe: str, maps: np.ndarray, table: pd.DataFrame) -> int:
    """Fill in what an interrupted run of the same recipe had finished; the number of images it had."""
    if not path.exists():
        return 0
    with np.load(path, allow_pickle=False) as saved:
        if str(saved["recipe"]) != recipe:
            print(f"{path} is of another recipe; starting from the first image", flush=True)
            return 0
        done = int(saved["done"])
        maps[:done] = saved["maps"]
        rows = pd.read_parquet(memory.BytesIO(saved["table"].tobytes()))
    for name in rows:
        table.loc[table.index[:done], name] = rows[name].to_numpy()[:done]
    print(f"going on from {path} after {done} images", flush=True)
    return done
