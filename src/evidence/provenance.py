"""Where a result comes from. No torch: pages read the facts of weights without loading any."""

import functools
import subprocess
from pathlib import Path

from safetensors import SafetensorError, safe_open

from evidence.errors import BadInput


@functools.cache
def commit() -> str:
    """The commit of the source tree, with a plus where it has changed since; ``unknown`` outside a checkout."""
    here = Path(__file__).parent
    try:
        run = functools.partial(subprocess.run, cwd=here, capture_output=True, text=True, check=True, timeout=10)
        name = run(["git", "rev-parse", "--short=10", "HEAD"]).stdout.strip()
        changed = run(["git", "status", "--porcelain", "--untracked-files=no"]).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return name + ("+" if changed else "")


def facts(path: Path | str) -> dict[str, str]:
    """How the networks of a file were made: model, options, seed, steps, seconds, commit, machine."""
    with opened(path, "numpy") as file:
        return {key: value for key, value in (file.metadata() or {}).items() if key != "networks"}


def opened(path: Path | str, framework: str):
    """A file of weights; its tensors, if any are asked for, are those of the framework."""
    if not Path(path).is_file():
        raise BadInput(f"the weights {path} are missing; train the network first, or correct the path")
    try:
        return safe_open(path, framework=framework)
    except SafetensorError as error:
        raise BadInput(f"{path} is not a whole safetensors file ({error}); delete it and train again") from error
