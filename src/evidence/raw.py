"""Where the raw files of a dataset are: said by the environment, so that no path is ever a reason to run again."""

import json
import os
from pathlib import Path

from evidence.errors import BadInput


def variable(label: str) -> str:
    """The environment variable that names the folder of a dataset's raw files."""
    return f"EVIDENCE_RAW_{label.upper()}"


def moved(plan) -> None:
    """Refuse to go on with the arrays of one folder where the user now points to another.

    They would not be made again by themselves, for paths are no triggers; who takes the list of the old files away says
    that it is meant.
    """
    given = {**os.environ, **plan.environment()}
    for dataset in plan.labels("datasets"):
        path = given.get(variable(dataset))
        if not path or plan.source(dataset) != "real":
            continue
        if not Path(path).expanduser().is_dir():
            raise BadInput(f"the raw files of {dataset} are said to be in {path}, which is not a folder")
        manifest = plan.root / plan.manifest(dataset)
        link, info = manifest.with_name("raw"), plan.root / plan.results / dataset / "data" / "info.json"
        before = link.resolve() if link.is_symlink() else None
        if before is None and info.is_file():
            before = Path(json.loads(info.read_text(encoding="utf-8")).get("raw") or path)
        if before and manifest.is_file() and Path(path).expanduser().resolve() != before:
            raise BadInput(
                f"{dataset} was made from {before}, but now {path} is given. If these are other files, use another "
                f"scale, or make all anew: rm {manifest}, then add --forcerun fetch; if the same files moved: "
                f"ln -sfn {path} {link}"
            )
