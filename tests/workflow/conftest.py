"""Checkouts of their own in which the smoke scale has run, and dry runs over them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PARTS = "Snakefile config.yaml rules scripts src papers profiles scales envs".split()


@dataclass
class Dry:
    """What a dry run said."""

    text: str

    @property
    def outputs(self) -> set[str]:
        """First output of each job that would run, below results/<scale>/; the report, which goes with pages, aside."""
        found = re.findall(r"^    output: (\S+?),?(?: |$)", self.text, re.M)
        paths = {path.partition("/")[2].partition("/")[2] for path in found}
        assert ("report.html" in paths) == any(path.endswith("page.md") for path in paths)
        return paths - {"report.html"}

    @property
    def nothing(self) -> bool:
        return "Nothing to be done" in self.text and not self.outputs


def snakemake(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        # the profile's timespan is for long runs: a run takes as long to leave
        [sys.executable, "-m", "snakemake", "--max-jobs-per-timespan", "300/3s", *words],
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=1200,  # ends what hangs; on a busy machine the longest here takes half of it
    )


def copy_of(root: Path, folder: Path) -> Path:
    """The parts of the checkout that a run needs."""
    for part in PARTS:
        source = root / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, folder / part)
    return folder


def smoke(root: Path, folder: Path, *papers: str) -> Path:
    """A checkout in ``folder`` whose smoke scale asks for these papers and no others, and has been made."""
    overlay = copy_of(root, folder) / "scales" / "smoke.yaml"
    text, count = re.subn(r"^papers: .*$", f"papers: [{', '.join(papers)}]", overlay.read_text(), flags=re.M)
    assert count == 1
    overlay.write_text(text)
    run = snakemake(folder, "--configfile", "scales/smoke.yaml", "--quiet", "rules")
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="session")
def made(root, tmp_path_factory) -> Path:
    """A checkout with the smoke scale of VA-GAN's paper and of a cohort. Nothing may change it for good."""
    return smoke(root, tmp_path_factory.mktemp("checkout") / "evidence", "baumgartner2018", "cohort")


@pytest.fixture
def dry(made) -> Callable[..., Dry]:
    """A dry run of the smoke scale in the made checkout, or in another folder."""

    def run(*words: str, folder: Path = made, **environment: str) -> Dry:
        done = snakemake(folder, "--configfile", "scales/smoke.yaml", *words, "-n", **environment)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        return Dry(text)

    return run


@pytest.fixture
def edit(made):
    """Change files of the made checkout; they are put back, times and all, when the test ends."""
    before: dict[Path, tuple[bytes | None, tuple[int, int]]] = {}

    def change(name: str, old: str = "", new: str = "") -> None:
        """Replace ``old``, which must be there, by ``new``; append ``new`` where ``old`` is empty."""
        path = made / name
        text = path.read_text() if path.exists() else None
        before.setdefault(path, (text.encode() if text is not None else None, _times(path)))
        if text is not None and old:
            assert old in text, f"{old!r} is not in {name}"
        path.write_text((text or "").replace(old, new, 1) if old else (text or "") + new)

    yield change
    for path, (content, times) in before.items():
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
            os.utime(path, ns=times)


def _times(path: Path) -> tuple[int, int]:
    if not path.exists():
        return (0, 0)
    stat = path.stat()
    return (stat.st_atime_ns, stat.st_mtime_ns)
