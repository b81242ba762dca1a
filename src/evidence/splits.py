"""Splits that authors published, as JSON lists of (name, number) under three keys (Charachon et al., 2021)."""

from pathlib import Path

from evidence.errors import BadInput
from evidence.io import load_json

KEYS = {"train_indexes": "train", "val_indexes": "validation", "test_indexes": "test"}


def published(file: Path, noun: str) -> dict[str, str]:
    """Name → split; a ``noun`` (patient, image) that is in two of them is an error."""
    splits: dict[str, str] = {}
    content = load_json(file)
    for key, split in KEYS.items():
        if key not in content:
            raise BadInput(f"{file} lacks {key!r}; is it the published split?")
        for name in dict.fromkeys(name for name, _ in content[key]):
            if splits.setdefault(name, split) != split:
                raise BadInput(f"{file}: the {noun} {name} is in two splits, {splits[name]} and {split}")
    return splits
