"""Which source files a job depends on: its script, its module, and all that they import. Standard library."""

import ast
import functools
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the checkout
OURS = re.compile(
    r"^[ \t]*(?:from (evidence(?:\.[\w.]+)?) import (\([^)]*\)|[^#\n]*)|import ([^#\n]*\bevidence\b[^#\n]*))",
    re.MULTILINE,
)


def of_module(folder: str, kind: str) -> list[str]:
    """Where the imports of a module begin."""
    return [f"src/evidence/{folder}/__init__.py", f"src/evidence/{folder}/{kind}.py"]


def of_job(script: str, folder: str = "", kind: str = "") -> list[str]:
    """Where the imports of a job begin."""
    return [f"scripts/{script}.py", *(of_module(folder, kind) if folder else [])]


@functools.cache
def closure(start: tuple[str, ...], root: Path) -> frozenset[Path]:
    """All source files of ours that these import, themselves included, relative to the root."""
    found: set[Path] = set()
    waiting = [Path(path) for path in start]
    while waiting:
        path = waiting.pop()
        if path not in found and has_code(root / path):
            found.add(path)
            waiting += imports(root / path, root)
    return frozenset(found)


def digest(*start: str, root: Path = ROOT) -> str:
    """A digest of the content of these files and of all that they import."""
    content = hashlib.sha256()
    for path in sorted(closure(start, root)):
        content.update(path.as_posix().encode() + b"\0" + (root / path).read_bytes() + b"\0")
    return content.hexdigest()


@functools.cache
def imports(path: Path, root: Path) -> list[Path]:
    """The modules of ours that a source file imports, relative to the root. Packages count by their ``__init__``.

    Read by pattern, for parsing all files would be a sixth of planning.
    """
    names: list[str] = []
    for module, members, plain in OURS.findall(path.read_text(encoding="utf-8")):
        if module:
            names += [module, *(f"{module}.{member}" for member in re.findall(r"\w+", members))]
        else:
            names += re.findall(r"\bevidence[\w.]*", plain)
    return list(dict.fromkeys(_files(names)))


def _files(names: Iterable[str]) -> Iterable[Path]:
    for name in names:
        steps = name.split(".")
        for depth in range(1, len(steps) + 1):
            base = Path("src", *steps[:depth])
            yield from (base.with_suffix(".py"), base / "__init__.py")


@functools.cache
def has_code(path: Path) -> bool:
    """Whether a source file does more than describe; a folder's contract is text, and no reason to run again."""
    if not path.is_file():
        return False
    if path.name != "__init__.py":
        return True
    statements = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
    return any(not isinstance(statement, ast.Expr) for statement in statements)
