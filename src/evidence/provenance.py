"""Where a result comes from."""

import functools
import subprocess
from pathlib import Path


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
