"""Scores put together: means, and spreads over images and over seeds. NumPy and pandas, no torch."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from evidence import io, pages
from evidence.errors import BadInput

Scores = Mapping[int, pd.DataFrame]  # seed → sample, at, value
FLAGS = {  # of every script that puts scores together
    "--results": "folder of the scale's results",
    "--scores": {"nargs": "+", "default": [], "help": "files of scores; which seeds a cell has is read off them"},
    "--scale": "name of the scale",
    "--sources": {"nargs": "+", "default": [], "help": "DATASET=real|phantom|generated, one for each dataset"},
    "--csv": "where the tidy table goes",
    "--md": "where the readable text goes",
}


class Files:
    """The scores that a job was given, each file read once.

    Args:
        paths: the files, those of all cells together.
        results: folder of the scale's results, below which they lie.
    """

    def __init__(self, paths: Iterable[str], results: str):
        self.results, self.paths = results, [Path(path) for path in paths]
        self.load = functools.cache(io.load_table)

    def of(self, cell: pages.Cell) -> dict[int, pd.DataFrame]:
        """Seed → the scores of a cell. Which seeds it has is for the files to say; one without any is an error."""
        folder = Path(cell.scores(self.results, 0)).parent
        paths = [path for path in self.paths if path.parent == folder]
        if not paths:
            raise BadInput(f"{cell.row!r} has no scores: none of the given files lies in {folder}")
        return {int(path.stem.removeprefix("seed")): io.load_scores(f"{path}#{cell.map}", self.load) for path in paths}


def of_seeds(scores: Scores, at: str) -> pd.DataFrame:
    """What pooling needs to know of each seed's scores, a row a seed.

    Returns:
        ``seed``; ``mean`` of the scores that exist, and their ``spread`` around it, NaN below two; ``n`` of them;
        ``missing``, how many do not exist; whether they are ``repeats``, each of all images together, or ``several`` of
        an image.
    """
    rows = []
    for seed, table in scores.items():
        table = table[table["at"] == at]
        values = table["value"]
        n = int(values.notna().sum())
        rows.append(
            {
                "seed": seed,
                "mean": float(values.mean()) if n else np.nan,
                "spread": float(values.std(ddof=0)) if n > 1 else np.nan,
                "n": n,
                "missing": len(values) - n,
                "repeats": bool(len(values) > 1 and table["sample"].isna().all()),
                "several": bool(table["sample"].dropna().duplicated().any()),
            }
        )
    return pd.DataFrame(rows)


def pooled(seeds: pd.DataFrame, over: str = "sample") -> dict[str, float | int | str]:
    """Mean and spread over seeds and images, out of what is known of each seed.

    Args:
        seeds: a row a seed, as ``of_seeds`` makes it; without a row, nothing is known.
        over: what ``ours_spread`` is over. ``sample``: the scores around the mean of their seed, one an image, or
            several, or where each score is of all images, and there are several, their repeats. ``seed``: the means of
            the seeds, which ``seeds_spread`` always is over, with n - 1 in the denominator. NaN where there is one.

    Returns:
        ``ours``, the mean of the seeds' means; the two spreads; ``n``, the scores a seed; ``seeds``, how many, and
        ``which``, in words; ``missing``, how many scores do not exist, ``of`` how many; and whether the scores are
        ``repeats``, or ``several`` of an image.
    """
    means, spreads = seeds["mean"].dropna(), seeds["spread"].dropna()
    over_images = float(np.sqrt(np.mean(np.square(spreads)))) if len(spreads) else np.nan
    over_seeds = float(np.std(means, ddof=1)) if len(means) > 1 else np.nan
    return {
        "ours": float(means.mean()) if len(means) else np.nan,
        "ours_spread": over_seeds if over == "seed" else over_images,
        "n": int(seeds["n"].sum() / max(len(seeds), 1)),
        "seeds": len(seeds),
        "which": ", ".join(map(str, sorted(seeds["seed"]))),
        "seeds_spread": over_seeds,
        "missing": int(seeds["missing"].sum()),
        "of": int((seeds["n"] + seeds["missing"]).sum()),
        "repeats": bool(seeds["repeats"].any()),
        "several": bool(seeds["several"].any()),
    }


def measured(scores: Scores, at: str, over: str = "sample") -> dict[str, float | int | str]:
    """Mean and spread of the scores that exist, as ``pooled`` says."""
    return pooled(of_seeds(scores, at), over)


def of_images(scores: Scores, at: str) -> pd.Series:
    """The mean over seeds of each image's scores that exist, by sample; empty for scores of all images together."""
    table = pd.concat([table[table["at"] == at] for table in scores.values()])
    return table.groupby("sample")["value"].mean().dropna()


def interval(differences: pd.Series, draws: int = 10_000) -> tuple[float, float]:
    """The middle 95 % of the mean difference over images drawn again with replacement: a paired bootstrap, always the
    same one. Images of one patient are drawn apart, so it is too narrow where there are many. NaN below two images."""
    values = differences.dropna().to_numpy()
    if len(values) < 2:
        return np.nan, np.nan
    random, shares = np.random.default_rng(0), np.full(len(values), 1 / len(values))
    means = [random.multinomial(len(values), shares, 1_000) @ values / len(values) for _ in range(draws // 1_000)]
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def number(mean: float, spread: float, decimals: int, over_seeds: float = np.nan) -> str:
    """``0.94 ± 0.07``, or ``0.94 ± 0.07 (± 0.01)`` with the spread over seeds; what does not exist is left out. From a
    thousand on nothing stands behind the point."""
    if not np.isfinite(mean):
        return ""
    decimals = 0 if abs(mean) >= 1000 else decimals
    text = f"{mean:.{decimals}f}" + (f" ± {spread:.{decimals}f}" if np.isfinite(spread) else "")
    return text + (f" (± {over_seeds:.{decimals}f})" if np.isfinite(over_seeds) else "")


def spread_over(lines: pd.DataFrame) -> str:
    """What spreads over scores are over, in words; ``lines`` are as ``pooled`` makes them."""
    if lines["repeats"].all():
        return "repeats"
    images = "images and what is repeated of each" if lines["several"].any() else "images"
    return f"{images}, or repeats where a score is of all images" if lines["repeats"].any() else images


def span(counts: Iterable[int], noun: str = "") -> str:
    """``3``, or ``1 to 3`` where they differ; with a noun, ``1 seed`` or ``1 to 3 seeds``."""
    counts = sorted(set(counts))
    text = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{text} {noun}{'' if counts[-1] == 1 else 's'}" if noun else text


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown; all columns but the first are numbers."""
    return ["| " + " | ".join(words) + " |" for words in (head, ["---"] + ["---:"] * (len(head) - 1), *lines)]
