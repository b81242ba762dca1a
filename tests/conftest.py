"""What all tests share."""

import copy
import importlib
import os
import sys
from pathlib import Path

import pytest

from evidence import cli

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "2")


def merged(base: dict, overlay: dict) -> dict:
    """A configuration with an overlay, as Snakemake merges them."""
    out = copy.deepcopy(base)
    for key, value in overlay.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout under test."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Small real datasets, where the environment says they are."""
    folder = os.environ.get("EVIDENCE_TEST_DATA")
    if not folder:
        pytest.skip("EVIDENCE_TEST_DATA is not set: it names the folder with brain_tumor_mri/ and other real data")
    return Path(folder).resolve()


@pytest.fixture
def script(monkeypatch, capsys):
    """Run a script in this process, as its command line would; returns its exit status and what it printed."""

    def run(name: str, *words: str | Path) -> tuple[int, str]:
        monkeypatch.syspath_prepend(str(ROOT))
        module = importlib.import_module(f"scripts.{name}")
        monkeypatch.setattr(sys, "argv", [str(ROOT / "scripts" / f"{name}.py"), *map(str, words)])
        status: int | str | None = 0
        try:
            cli.run(module.main)
        except SystemExit as leaving:
            status = leaving.code
        out, err = capsys.readouterr()
        if isinstance(status, str):  # sys.exit prints such a code and leaves with 1
            return 1, f"{out}{err}{status}"
        return status or 0, out + err

    return run
