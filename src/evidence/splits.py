"""Splits and choices that authors published: JSON lists of (name, number) under three keys (Charachon et al., 2021)."""

from collections import defaultdict
from pathlib import Path

from evidence.errors import BadInput
from evidence.io import load_json

KEYS = {"train_indexes": "train", "val_indexes": "validation", "test_indexes": "test"}


def published(file: Path, noun: str) -> dict[str, str]:
    """Name → split; a ``noun`` (patient, image) that is in two of them is an error."""
    splits: dict[str, str] = {}
    content = _lists(file)
    for key, split in KEYS.items():
        for name in dict.fromkeys(name for name, _ in content[key]):
            if splits.setdefault(name, split) != split:
                raise BadInput(f"{file}: the {noun} {name} is in two splits, {splits[name]} and {split}")
    return splits


def chosen(file: Path) -> dict[str, set[int]]:
    """Name → numbers (of slices) that a published file lists, whatever their split."""
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    content = _lists(file)
    for key in KEYS:
        for name, number in content[key]:
            numbers[name].add(number)
    return dict(numbers)


def _lists(file: Path) -> dict[str, list]:
    content = load_json(file)
    for key in KEYS:
        if key not in content:
            raise BadInput(f"{file} lacks {key!r}; is it the published split?")
    return content
