"""Claims of a paper as comparisons of scores: whether they hold, and what people read of them. No torch.

A comparison of means holds above or below where the difference has that sign. Where both sides have scores of the same
images, the difference is that of these images alone, more than half of them have to agree, and the interval beside it
is a paired bootstrap over them. It holds about where the difference is smaller than the claim says or, if it says
nothing, than the larger of the two spreads over images. A claim holds if all of its comparisons do.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from evidence import pages
from evidence.scores import interval, markdown, number, span, spread_over

COLUMNS = """claim member relation reference dataset metric ours ours_spread n seeds seeds_spread theirs theirs_spread
    theirs_seeds theirs_seeds_spread difference low high within images pairs holds scale source""".split()
HEAD = ("", "ours", "", "reference", "difference", "95 %", "images", "")
SIGN = {"above": 1, "below": -1}
NUMBER = {"ours_spread": np.nan, "seeds": 0, "seeds_spread": np.nan, "missing": 0, "repeats": False, "several": False}
DECIMALS = 2
NOTHING = pd.Series(dtype=float)  # no images to compare


def compared(
    comparison: pages.Comparison, ours: Mapping[str, Any], theirs: Mapping[str, Any], pairs: pd.Series = NOTHING
) -> dict[str, Any]:
    """One comparison: both sides, their difference, on which share of the images it holds, and whether it holds.

    Args:
        comparison: of a claim.
        ours: what was measured of the member, as ``scores.pooled`` has it.
        theirs: of the reference, or ``of_number``.
        pairs: differences image by image, where both are of the same.
    """
    cell = comparison.cell
    images, (low, high) = share(comparison.relation, pairs), interval(pairs)
    difference = pairs.mean() if len(pairs) else ours["ours"] - theirs["ours"]
    within = comparison.within or np.nanmax([ours["ours_spread"], theirs["ours_spread"], 0])
    return {
        "member": cell.row,
        "relation": comparison.relation,
        "reference": comparison.heading,
        "dataset": cell.dataset,
        "metric": cell.metric,
        **ours,
        **{key.replace("ours", "theirs"): theirs[key] for key in ("ours", "ours_spread")},
        **{f"theirs_{key}": theirs[key] for key in ("seeds", "seeds_spread")},
        "difference": difference,
        "low": low,
        "high": high,
        "within": within if comparison.relation == "about" else np.nan,
        "images": images,
        "pairs": len(pairs),
        "holds": holds(comparison.relation, difference, images, within),
        "missing": ours["missing"] + theirs["missing"],
        "repeats": ours["repeats"] or theirs["repeats"],
        "several": ours["several"] or theirs["several"],
    }


def of_number(value: float) -> dict[str, Any]:
    """A number, as a side of a comparison."""
    return NUMBER | {"ours": value}


def share(relation: str, differences: pd.Series) -> float:
    """On which share of the images a member lies above, or below; NaN for ``about``, or where no image is compared."""
    if relation == "about" or not len(differences):
        return np.nan
    return float((SIGN[relation] * differences > 0).mean())


def holds(relation: str, difference: float, images: float, within: float) -> bool:
    """Whether a comparison holds; never where a mean does not exist."""
    if relation == "about":
        return bool(abs(difference) < within)
    return bool(SIGN[relation] * difference > 0 and not images <= 0.5)


def text(claims: Mapping[str, Any], table: pd.DataFrame) -> str:
    """What people read: which claims hold, then each with its sentence, its verdict and its comparisons."""
    verdicts = {name: verdict(lines["holds"]) for name, lines in table.groupby("claim", sort=False)}
    others = [f"{name} {said}" for name, said in verdicts.items() if said != "holds"]
    hold = "hold" if len(verdicts) > 1 else "holds"
    said = ["; ".join([f"{len(verdicts) - len(others)} of {span([len(verdicts)], 'claim')} {hold}", *others]) + "."]
    for name, lines in table.groupby("claim", sort=False):
        said += ["", f"### {name}", "", f"{claims[name]['says'].strip()} **{verdicts[name]}**", ""]
        if claims[name].get("how"):
            said += [claims[name]["how"].strip(), ""]
        said += markdown(HEAD, [row(line) for line in lines.itertuples()])
        said += ["", foot(lines)]
    return "\n".join(said) + "\n"


def verdict(held: pd.Series) -> str:
    return "holds" if held.all() else "holds for some" if held.any() else "does not hold"


def row(line: Any) -> list[str]:
    """One comparison in words and numbers."""
    theirs = number(line.theirs, line.theirs_spread, DECIMALS, line.theirs_seeds_spread)
    difference = f"{line.difference:+.{DECIMALS}f}" if np.isfinite(line.difference) else ""
    return [
        line.member,
        number(line.ours, line.ours_spread, DECIMALS, line.seeds_spread) or "no scores",
        f"{line.relation} {line.reference}".strip(),
        theirs or "no scores",
        difference,
        f"{line.low:+.{DECIMALS}f} to {line.high:+.{DECIMALS}f}" if np.isfinite(line.low) else "",
        f"{line.images:.0%} of {line.pairs}" if np.isfinite(line.images) else "",
        "holds" if line.holds else "does not hold",
    ]


def foot(lines: pd.DataFrame) -> str:
    """What the numbers of a claim are of."""
    seeds = span([n for n in [*lines["seeds"], *lines["theirs_seeds"]] if n], "seed")
    several = lines[["seeds_spread", "theirs_seeds_spread"]].notna().any(axis=None)
    over = spread_over(lines) + (", in brackets over the means of seeds" if several else "")
    metrics = ", ".join(dict.fromkeys(lines["metric"]))
    said = f"{metrics}: n = {span(lines['n'])} scores a mean, {seeds}; ± is over {over}; "
    if lines["low"].notna().any():
        said += "95 % of a paired bootstrap over images; "
    if (lines["relation"] == "about").any():
        off = sorted({f"{within:.{DECIMALS}f}" for within in lines["within"].dropna()})
        said += f"about is less than {' or '.join(off)} off; "
    said += f"{', '.join(sorted(set(lines['source'])))} images."
    missing = int(lines["missing"].sum())
    return said + (f" {missing} scores do not exist and are left out; their logs name them." if missing else "")
