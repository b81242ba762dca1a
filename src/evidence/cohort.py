"""Who belongs to which split, and who is explained. Decided once, when a dataset is packed."""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from evidence.errors import BadInput

SPLITS = ("train", "validation", "test")


def settings(
    *,
    split_seed: int = 42,
    test: float = 0.2,
    validation: float = 0.2,
    classes: int = 2,
) -> None:
    """The settings of ``pack``: hyperparameters that every dataset has.

    Args:
        split_seed: of the split, and of the choice of explained samples.
        test: share of the subjects that are tested; a dataset with a published split has its own.
        validation: share of the others that are validated on.
        classes: labels are 0 to one less. Of two, 0 is the baseline; of more, none is.
    """


def choice(*, explain: int = 0, explain_baseline: int = 0) -> None:
    """The settings of ``choose``, which every dataset has too.

    Args:
        explain: how many test samples of the class of interest are explained, or of each of more than two; 0 for all.
        explain_baseline: how many of the baseline class are explained too; 0 for none.
    """


def of_classes(index: pd.DataFrame, classes: int = 2) -> pd.DataFrame:
    """The index, whose labels are those of so many classes, from 0; all else is refused."""
    if classes < 2:
        raise BadInput(f"classes has to be 2 or more, not {classes}")
    others = index[~index["label"].isin(range(classes))]
    if len(others):
        first = others.iloc[0]
        named = first.get("name") or first.get("unit") or f"sample {others.index[0]}"
        known = "neither 0, the baseline class, nor 1" if classes == 2 else f"none of 0 to {classes - 1}"
        raise BadInput(
            f"{named} has the label {first['label']}, and {len(others)} of {len(index)} images have one that is "
            f"{known}: there are {'two' if classes == 2 else classes} classes, so leave the others out, or merge them, "
            "or set classes to how many there are"
        )
    return index


def without_duplicates(index: pd.DataFrame) -> pd.DataFrame:
    """Keep the first sample of each content, or the first that has a truth; ``copies`` counts how often it came.

    The same image under two labels is an error: nobody but the owner of the data knows which is right.
    """
    if "content" not in index:
        return index.assign(copies=1)
    for _, same in index.groupby("content", sort=False):
        if same["label"].nunique() > 1:
            names = " and ".join(same.drop_duplicates("label")["name" if "name" in index else "unit"])
            raise BadInput(
                f"{names} are the same image with different labels; remove one, then: snakemake --forcerun fetch"
            )
    copies = index.groupby("content")["content"].transform("size")
    preferred = index.sort_values("has_truth", ascending=False, kind="stable") if "has_truth" in index else index
    return index.assign(copies=copies).loc[preferred.index[~preferred["content"].duplicated()].sort_values()]


def split(index: pd.DataFrame, *, seed: int = 42, test: float = 0.2, validation: float = 0.2) -> pd.Series:
    """The split of each sample: stratified by label, never two splits for a subject.

    Where the samples come with a split, a published one, it is kept. Else two successive draws, as in VA-GAN's released
    code: ``test`` of all, then ``validation`` of the rest. A subject is of the highest class that a sample of it has.
    """
    found = _published(index) if "split" in index else _drawn(index, seed, test, validation)
    labels = sorted(index["label"].unique())
    counts = pd.crosstab(found, index["label"])
    for part in SPLITS if len(labels) <= 2 else SPLITS[:1]:  # of many classes, some may not be tested
        for label in (label for label in labels if not counts.loc[part, label]):
            there = ", ".join(f"{n} of class {each}" for each, n in counts.loc[part].items() if n)
            raise BadInput(
                f"no image of class {label} is in the {part} split, which has {there}: it takes more subjects of that "
                "class, or larger shares (test, validation); or mend the published list, where there is one"
            )
    return found


def _drawn(index: pd.DataFrame, seed: int, test: float, validation: float) -> pd.Series:
    subjects = index.groupby("subject", sort=False)["label"].max()
    numbers, labels = np.arange(len(subjects)), subjects.to_numpy()
    try:
        rest, tested = train_test_split(numbers, test_size=test, stratify=labels, random_state=seed)
        _, validated = train_test_split(rest, test_size=validation, stratify=labels[rest], random_state=seed)
    except ValueError as error:
        counts = pd.Series(labels).value_counts().to_dict()
        raise BadInput(f"subjects a class {counts} are too few for training, validation and test ({error})") from error
    where = np.full(len(subjects), "train", dtype=object)
    where[validated], where[tested] = "validation", "test"
    return index["subject"].map(dict(zip(subjects.index, where, strict=True)))


def _published(index: pd.DataFrame) -> pd.Series:
    pairs = index[["subject", "split"]].drop_duplicates()
    if (twice := pairs["subject"].duplicated()).any():
        subject = pairs["subject"][twice].min()
        splits = " and ".join(sorted(pairs["split"][pairs["subject"] == subject]))
        raise BadInput(f"the subject {subject} is in two splits, {splits}; mend the list")
    if missing := set(SPLITS) - set(index["split"]):
        raise BadInput(f"the published split leaves {', '.join(sorted(missing))} empty; mend or remove its list")
    return index["split"]


def explained(index: pd.DataFrame, *, most: int = 0, baseline: int = 0, classes: int = 2, seed: int = 42) -> np.ndarray:
    """Which samples are explained: the test samples of the class of interest, or ``most`` of them drawn at random, and
    so many of the ``baseline`` class. Of more than two classes each is of interest. Where authors published whom they
    explained, no others of such a class are."""
    if baseline and classes > 2:
        raise BadInput(f"explain_baseline is {baseline}, but of {classes} classes none is the baseline; take it away")
    flags, random = np.zeros(len(index), bool), np.random.default_rng(seed)
    tested, interest = index["split"] == "test", (index["label"] > 0) | (classes > 2)
    able = tested & interest
    if "listed" in index:
        able &= index["listed"]
        if not able.any():
            raise BadInput("the published list of explained samples names none that is tested here; remove the list")
    for label in range(classes) if classes > 2 else (1,):
        flags[_some(able & (index["label"] == label), most, random)] = True
    if baseline:
        flags[_some(tested & ~interest, baseline, random)] = True
    return flags


def _some(able: pd.Series, most: int, random: np.random.Generator) -> np.ndarray:
    """Where the able ones are, or so many of them, drawn at random."""
    chosen = np.flatnonzero(able)
    return random.choice(chosen, most, replace=False) if 0 < most < len(chosen) else chosen
