"""What long jobs need to be stopped and gone on with: a digest of the recipe, a lock, signals, a clock.

``EVIDENCE_SAVE_SECONDS`` is the time between two saved states (60).
"""

import fcntl
import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evidence import io, sources
from evidence.errors import BadInput


def setting(variable: str, default: int) -> float:
    """A number that the environment may overrule."""
    text = os.environ.get(variable) or str(default)
    try:
        return float(text)
    except ValueError:
        raise BadInput(f"{variable}={text} is no number; correct it, or unset it") from None


class Clock:
    """Says when it is time to save."""

    def __init__(self):
        self.seconds = setting("EVIDENCE_SAVE_SECONDS", 60)
        self.reset()

    def due(self) -> bool:
        return time.monotonic() - self.since >= self.seconds

    def reset(self) -> None:
        self.since = time.monotonic()


def recipe(*sources_of: str, networks: Mapping[str, str] | None = None, **parts: Any) -> str:
    """A digest of all that a long job depends on; a state with another digest is never gone on from.

    Args:
        sources_of: source files whose content, and that of all they import, belongs to it.
        networks: role → reference to weights, which count by their content and the network that is meant.
        parts: everything else.
    """
    files = {role: reference.partition("#") for role, reference in (networks or {}).items()}
    parts["networks"] = {role: [io.sha256(path), name] for role, (path, _, name) in files.items()}
    parts["code"] = sources.digest(*sources_of) if sources_of else ""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint(images: np.ndarray, index: pd.DataFrame, count: int = 64) -> str:
    """A digest of a dataset that does not read all of it: its index, its shape, and images spread over it."""
    digest = hashlib.sha256(f"{images.shape}{images.dtype}".encode())
    digest.update(index.to_csv(index=False).encode())
    for row in np.unique(np.linspace(0, len(images) - 1, count).astype(int)):
        digest.update(np.ascontiguousarray(images[row]).tobytes())
    return digest.hexdigest()


@contextmanager
def only_one(folder: Path, patience: float = 3600.0) -> Iterator[bool]:
    """Hold a folder for this process; another that wants it waits. Yields whether it had to.

    The lock's file stays: to remove it would let a third process lock another file of that name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "a+") as file:
        began, waited = time.monotonic(), False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                if not waited:
                    print(f"{folder} is being written by {holder}; waiting for it", flush=True)
                waited = True
                if time.monotonic() - began > patience:
                    raise BadInput(f"{folder} is still being written by {holder}; end that process, or wait") from None
                time.sleep(0.2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}\n")
        file.flush()
        yield waited


@contextmanager
def told_to_stop() -> Iterator[list[int]]:
    """A list that is empty until SIGTERM, or Ctrl-C, arrives."""
    arrived: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    try:
        before = [signal.signal(number, lambda number, frame: arrived.append(number)) for number in numbers]
    except ValueError:  # not the main thread: nobody can be told to stop there
        yield arrived
        return
    try:
        yield arrived
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class Keeper:
    """Keeps the arrays that a long computation goes on with, in a file beside its outputs.

    Args:
        path: of the file; none is read or written without.
        recipe: of the computation; a file of another one is passed over.
        stopped: not empty once the process has been told to stop.
    """

    def __init__(self, path: Path | None = None, recipe: str = "", stopped: Sequence[int] = ()):
        self.path, self.recipe, self.stopped, self.clock = path, recipe, stopped, Clock()

    def load(self) -> dict[str, np.ndarray]:
        """What was kept last; nothing where nothing was."""
        if self.path is None or not self.path.exists():
            return {}
        with np.load(self.path, allow_pickle=False) as kept:
            if str(kept["recipe"]) != self.recipe:
                print(f"{self.path} is of another recipe; starting from the first iteration", flush=True)
                return {}
            print(f"going on from {self.path}", flush=True)
            return {name: kept[name] for name in kept.files if name != "recipe"}

    def keep(self, arrays: Mapping[str, Any]) -> None:
        """Write tensors if it is time, or the process is to stop, which it then does."""
        if self.path is None or not (self.stopped or self.clock.due()):
            return
        with io.replacing(self.path) as aside:
            np.savez(aside, recipe=self.recipe, **{name: array.cpu().numpy() for name, array in arrays.items()})
        self.clock.reset()
        if self.stopped:
            raise SystemExit(f"stopped by a signal; the same command goes on from {self.path}")

    def forget(self) -> None:
        """Remove the file: what it was for is done."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
