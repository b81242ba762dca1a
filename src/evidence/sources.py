"""Which source files a job depends on: its script, its module, and all that they import. Standard library."""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the checkout


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
    """The modules of ours that a source file imports, relative to the root. Packages count by their ``__init__``."""
    names: list[str] = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return list(dict.fromkeys(_files(name for name in names if name.partition(".")[0] == "evidence")))


def _files(names: Iterable[str]) -> Iterable[Path]:
    for name in names:
        steps = name.split(".")
        for depth in range(1, len(steps) + 1):
            base = Path("src", *steps[:depth])
            yield from (base.with_suffix(".py"), base / "__init__.py")


@functools.cache
def has_code(path: Path) -> bool:
    """Whether a source file does more than describe; a folder's contract is text, and no reason to run again."""
    return path.is_file() and any(not isinstance(node, ast.Expr) for node in _tree(path).body)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))
