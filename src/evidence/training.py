"""One training loop for every model. Step i is a pure function of weights, optimiser, seed and i; so resuming is exact.

While a training runs, its state lies beside its outputs as ``state.pt``: written aside and moved into place every
minute and on SIGTERM or Ctrl-C, gone when the outputs are there. It belongs to one recipe (options, seed, data, weights
needed, code): a state of another recipe is not read, and a line in the log says so.
"""

import copy
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from evidence import io, machine
from evidence.errors import BadInput
from evidence.networks.blocks import Network
from evidence.progress import Progress
from evidence.resuming import Clock, told_to_stop
from evidence.seeds import rng, stream

RESIDENT = 4 * 2**30  # bytes of images that are kept in the device's memory; more are read from disk batch by batch

Losses = dict[str, Tensor]  # the terms of a loss by name, each with its weight


class Learner(nn.Module):
    """What the loop asks of a model; each module in ``evidence.models`` has one, with this name, and ``NETWORKS``, the
    names of what it may save; ``ON_REQUEST`` says which of them it saves only where a hyperparameter is set.

    ``Learner(shape, <networks it needs>, *, hyperparameters)``. Being a module, all its networks and buffers are its
    state; its optimisers are beside them.
    """

    by_class = False  # batches: (images of class 0, images of class 1), or (images, labels)
    networks: dict[str, Network]  # what is saved, by name
    optimisers: dict[str, torch.optim.Optimizer]
    batch: int
    steps: int
    validate_every: int

    def pool(self, samples: "Samples") -> "Samples":
        """The training samples under the labels by which batches are drawn; for learners that sort them anew."""
        return samples

    def draws(self, i: int) -> int:
        """How many batches step i takes."""
        return 1

    def step(self, batches: Iterator[tuple[Tensor, Tensor]], i: int) -> Losses:
        """One step; returns its loss terms by name."""
        raise NotImplementedError

    def descend(self, optimiser: str, *terms: Losses) -> Losses:
        """One update by this optimiser on the sum of all terms; returns what they were, those of one name added up."""
        self.optimisers[optimiser].zero_grad(set_to_none=True)  # so that Adam passes over what is in no term
        sum(sum(each.values()) for each in terms).backward()
        self.optimisers[optimiser].step()
        return added({name: value.detach() for name, value in each.items()} for each in terms)

    def validate(self, samples: "Samples", i: int) -> dict[str, float]:
        """Numbers about the validation set after step i; the place to keep the best network."""
        return {}

    def finished(self, i: int) -> bool:
        """Whether to stop before the last step."""
        return False


@dataclass
class Samples:
    """Images with their labels and, where it is known, the truth: of all ``images``, or of some ``rows`` of them.

    Images may be a memory map, of which nothing is read before it is needed, unless all of it fits in memory.
    """

    images: np.ndarray
    labels: np.ndarray
    truth: np.ndarray | None = None
    rows: np.ndarray | None = None

    def __post_init__(self):
        self.rows = np.arange(len(self.images)) if self.rows is None else self.rows
        self.resident, self.places = None, np.arange(len(self.rows))
        if len(self.rows) * self.images[:1].nbytes <= RESIDENT:
            self.resident = machine.to_device(torch.from_numpy(self.images[self.rows].astype(np.float32, copy=False)))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Tensor:
        """Some images on the device, in its layout."""
        if self.resident is not None:
            return machine.laid_out(self.resident[torch.from_numpy(self.places[rows]).to(self.resident.device)])
        return machine.to_device(torch.from_numpy(self.images[self.rows[rows]].astype(np.float32, copy=False)))

    def some(self, rows: np.ndarray, labels: np.ndarray) -> "Samples":
        """Some of the samples, under other labels; the images are shared."""
        found = copy.copy(self)
        found.rows, found.places, found.labels = self.rows[rows], self.places[rows], labels
        found.truth = None if self.truth is None else self.truth[rows]
        return found

    def labelled(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Some images and their labels."""
        images = self.take(rows)
        return images, torch.from_numpy(np.asarray(self.labels[rows])).to(images.device)


def samples_of(split: str, images: np.ndarray, index: pd.DataFrame, truth: np.ndarray | None = None) -> Samples:
    """The samples of one split."""
    rows = np.flatnonzero(index["split"] == split)
    if len(rows) == 0:
        raise BadInput(f"no sample is in the split {split!r}; pack the dataset again")
    known = truth is not None and bool(index["has_truth"].iloc[rows][index["label"].iloc[rows] == 1].all())
    labels = index["label"].to_numpy(np.int64)[rows]
    return Samples(images, labels, np.asarray(truth[rows]) if known else None, rows)


class Batches:
    """Batches without end. The k-th is a pure function of the seed: passes in random order, leftovers discarded."""

    def __init__(self, samples: Samples, batch: int, seed: int, *, by_class: bool):
        everything = np.arange(len(samples))
        groups = [everything[samples.labels == label] for label in (0, 1)] if by_class else [everything]
        for label, rows in enumerate(groups):
            if len(rows) == 0:
                which = f" of class {label}" if by_class else ""
                raise BadInput(f"there is no image{which} among {len(samples)} of a split; check the dataset's labels")
        self.samples, self.groups, self.seed, self.by_class = samples, groups, seed, by_class
        self.batch = min(batch, *(len(rows) for rows in groups))
        self.orders: dict[tuple[int, int], np.ndarray] = {}  # permutations of the current passes
        self.reader = ThreadPoolExecutor(1) if samples.resident is None else None
        self.ahead: tuple[int, Future | None] = (-1, None)  # a batch being read while another is computed on

    def rows(self, group: int, k: int) -> np.ndarray:
        rows = self.groups[group]
        epoch, place = divmod(k, len(rows) // self.batch)
        if (group, epoch) not in self.orders:
            self.orders = {key: order for key, order in self.orders.items() if key[0] != group}
            self.orders[group, epoch] = rng(self.seed, "order", group, epoch).permutation(rows)
        return self.orders[group, epoch][place * self.batch : (place + 1) * self.batch]

    def starting(self, k: int) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield self.read(k) if self.reader is None else self.read_ahead(k)
            k += 1

    def read(self, k: int) -> tuple[Tensor, Tensor]:
        chosen = [self.rows(group, k) for group in range(len(self.groups))]
        if self.by_class:
            return self.samples.take(chosen[0]), self.samples.take(chosen[1])
        return self.samples.labelled(chosen[0])

    def read_ahead(self, k: int) -> tuple[Tensor, Tensor]:
        """The k-th batch; a thread reads the next one from disk in the meantime."""
        place, future = self.ahead
        batch = future.result() if place == k else self.reader.submit(self.read, k).result()
        self.ahead = (k + 1, self.reader.submit(self.read, k + 1))
        return batch


def in_order(samples: Samples, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All samples once, in their order: (images, labels)."""
    for start in range(0, len(samples), size):
        yield samples.labelled(np.arange(start, min(start + size, len(samples))))


def fit(
    learner: Learner, train: Samples, validation: Samples, *, seed: int, state: Path, recipe: str
) -> tuple[pd.DataFrame, float]:
    """Train until the learner's last step, resuming from ``state`` where it belongs to ``recipe``.

    Returns the history (step, name, value) and the seconds it took, those before interruptions included. Raises
    ``BadInput`` where a loss is not finite; SIGTERM and Ctrl-C save and leave.
    """
    for name in ("steps", "batch", "validate_every"):
        if getattr(learner, name) < 1:
            raise BadInput(f"{name} starts at 1, not {getattr(learner, name)}")
    batches = Batches(learner.pool(train), learner.batch, seed, by_class=learner.by_class)
    if batches.batch < learner.batch:
        each = " of each class" if learner.by_class else ""
        print(f"batches of {batches.batch} images{each}, not {learner.batch}: that is all there are", flush=True)
    history = History()
    start = _resume(state, recipe, learner, history)
    done = start > 0 and learner.finished(start - 1)  # saved by the step that ended it
    began = time.monotonic() - history.seconds
    drawn = sum(learner.draws(i) for i in range(start))
    progress = Progress("training", learner.steps, start)
    saver = _Saver(state, recipe, learner, history, saved=start if start else None)
    with told_to_stop() as stopped, machine.training(train.images.shape[1:]):
        reached = start
        for i in range(start, start if done else learner.steps):
            torch.manual_seed(stream(seed, "step", i))
            losses = learner.step(batches.starting(drawn), i)
            drawn += learner.draws(i)
            values = _finite(losses, i, saver)
            history.add(i, values)
            history.seconds = time.monotonic() - began
            reached = i + 1
            if reached % learner.validate_every == 0 or reached == learner.steps:
                torch.manual_seed(stream(seed, "validation", i))
                history.add(i, {f"validation_{name}": value for name, value in learner.validate(validation, i).items()})
            progress.advance(note=", ".join(f"{name} {value:.3g}" for name, value in values.items()))
            if stopped:
                saver.save(reached)
                raise SystemExit(f"stopped by a signal after step {i}; the same command resumes from {state}")
            if saver.clock.due():
                saver.save(reached)
            if learner.finished(i):
                break
    progress.close()
    saver.check(reached)
    return history.table(), time.monotonic() - began


def added(found: Iterable[Losses]) -> Losses:
    """Terms of one name added up."""
    total: Losses = {}
    for losses in found:
        for name, value in losses.items():
            total[name] = total.get(name, 0) + value
    return total


@torch.no_grad()
def move_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average ← decay·average + (1 - decay)·network, running statistics included."""
    for old, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


class History:
    """What was measured at which step, and the seconds it took so far."""

    def __init__(self):
        self.rows: list[tuple[int, str, float]] = []
        self.seconds = 0.0

    def add(self, step: int, values: dict[str, float]) -> None:
        self.rows += [(step, name, float(value)) for name, value in values.items()]

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows, columns=["step", "name", "value"])


# --- the state on disk ------------------------------------------------------------------------------------------------


def _resume(path: Path, recipe: str, learner: Learner, history: History) -> int:
    if not path.exists():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a torn file makes torch raise, the answer is the same
        print(f"{path} cannot be read ({error}); starting from the first step", flush=True)
        return 0
    if state["recipe"] != recipe:
        print(
            f"{path} is of another recipe (options, seed, data or code differ); starting from the first step",
            flush=True,
        )
        return 0
    learner.load_state_dict(state["learner"])
    for name, optimiser in learner.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
        for parameter, moments in optimiser.state.items():  # laid out alike, as fused Adam takes them to be
            for key, value in moments.items():
                if value.shape == parameter.shape:
                    moments[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
    history.rows, history.seconds = [tuple(row) for row in state["history"]], state["seconds"]
    print(f"resuming from {path} at step {state['step']}", flush=True)
    return state["step"]


class _Saver:
    """Writes the state when it is time, and knows when that was last done."""

    def __init__(self, path: Path, recipe: str, learner: Learner, history: History, saved: int | None):
        self.path, self.recipe, self.learner, self.history, self.saved = path, recipe, learner, history, saved
        self.clock = Clock()

    def save(self, step: int) -> None:
        """Keep the state after ``step`` steps, unless the networks are no longer finite: the last good state stays."""
        self.check(step)
        state = {
            "recipe": self.recipe,
            "step": step,
            "learner": self.learner.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.learner.optimisers.items()},
            "history": [list(row) for row in self.history.rows],
            "seconds": self.history.seconds,
        }
        with io.replacing(self.path) as aside:
            torch.save(state, aside)
        self.saved = step
        self.clock.reset()

    def check(self, step: int) -> None:
        """Refuse networks with a weight or running statistic that is not finite, which no loss need show."""
        statistics = [buffer for name, buffer in self.learner.named_buffers() if "running_" in name]
        if not all(bool(held.isfinite().all()) for held in (*self.learner.parameters(), *statistics)):
            self.stop(step - 1, "a weight, or a running statistic,")

    def stop(self, i: int, what: str) -> None:
        good = f"the last good state is {self.path} at step {self.saved}" if self.saved else "no state was saved before"
        raise BadInput(f"{what} is not finite at step {i}; {good}. A smaller lr, or float32 arithmetic, may help")


def _finite(losses: dict[str, Tensor], i: int, saver: _Saver) -> dict[str, float]:
    values = dict(zip(losses, torch.stack([loss.float() for loss in losses.values()]).tolist(), strict=True))
    for name, value in values.items():
        if not np.isfinite(value):
            saver.stop(i, f"the loss term {name!r} ({value})")
    return values
