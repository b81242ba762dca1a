"""Write cpu.yaml and cuda.yaml, for `snakemake --sdm conda`, from pyproject.toml and constraints.txt.

Rules that never compute with torch use the first, which is small; all others the second, with torch and its CUDA.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ONLY_CUDA = {"captum", "monai", "torch"}


def environment(without: set[str]) -> str:
    """One environment: the project's own dependencies at the versions of the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[A-Za-z0-9_.-]+(\[\w+\])?", line)[0] for line in project["dependencies"]]
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    torch = re.search(r"torch==([\d.]+)", " ".join(project["dependencies"]))[1]
    pins = {_canonical(name): version for name, version in pins.items()} | {"torch": torch}
    lines = [f"      - {name}=={pins[_canonical(name.partition('[')[0])]}" for name in names if name not in without]
    head = ["# Made by envs/generate.py; do not edit.", "channels:", "  - conda-forge", "dependencies:"]
    return "\n".join([*head, "  - python=3.11", "  - pip", "  - pip:", *lines]) + "\n"


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


FILES = {"cpu.yaml": ONLY_CUDA, "cuda.yaml": set()}

if __name__ == "__main__":
    for name, without in FILES.items():
        (ROOT / "envs" / name).write_text(environment(without))
