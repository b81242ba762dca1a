"""Progress of a long loop: a bar with rate and time left on a terminal, a plain line a minute in a log."""

import sys
import time
from collections.abc import Iterator

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 60.0


class Progress:
    """Counts steps from ``start`` to ``total``; ``note`` is shown beside them (losses, say)."""

    def __init__(self, what: str, total: int, start: int = 0, stream=None):
        self.what, self.total, self.start, self.done, self.note = what, total, start, start, ""
        self.stream = stream or sys.stderr
        self.began = self.said = time.monotonic()
        live = self.stream.isatty()
        self.bar = tqdm(desc=what, total=total, initial=start, file=self.stream, dynamic_ncols=True) if live else None

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        self.note = note or self.note
        if self.bar is not None:
            self.bar.set_postfix_str(self.note, refresh=False)
            self.bar.update(count)
        elif time.monotonic() - self.said >= SECONDS_BETWEEN_LINES or self.done >= self.total:
            self.said = time.monotonic()
            print(self.line(), file=self.stream, flush=True)

    def line(self) -> str:
        """What a log says: how far, how fast, how long still."""
        elapsed = max(time.monotonic() - self.began, 1e-9)
        rate = (self.done - self.start) / elapsed
        left = (self.total - self.done) / rate if rate else float("inf")
        tail = f"  {self.note}" if self.note else ""
        return f"{self.what}: {self.done} of {self.total}, {rate:.3g}/s, {_clock(left)} left{tail}"

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _clock(seconds: float) -> str:
    if seconds == float("inf"):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def chunks(count: int, size: int, what: str) -> Iterator[slice]:
    """Slices that cover ``count`` items, at most ``size`` at a time, with progress."""
    progress = Progress(what, count)
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
        progress.advance(min(size, count - start))
    progress.close()
