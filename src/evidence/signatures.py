"""What a module of one of the folders can be asked, read off its source without importing it. Standard library alone.

The folder is the registry and the signature is the schema: ``evidence.attribution.cam`` is the method ``cam``, the
keyword-only parameters of its ``attribute`` are its hyperparameters, and its positional parameters say what it needs.
"""

import ast
import functools
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evidence.errors import BadInput, near

PACKAGE = Path(__file__).parent

# What scripts hand over by name; every other positional parameter is a network, by its role.
DATA = set(
    "files folder raw shape images labels truth index maps samples streams donors keeper latents histories "
    "scores training".split()
)

# What reads a value of a plain annotation; YAML takes 5e-4 for a word, so words of numbers are numbers.
READERS = {"int": lambda value: int(str(value)), "float": float, "bool": bool}

# The function, or class, that makes a module of a folder what it is.
FUNCTIONS = {
    "datasets": ("prepare", "fetch", "simulate"),
    "models": ("Learner",),
    "attribution": ("attribute",),
    "metrics": ("score",),
    "figures": ("draw",),
}


@dataclass(frozen=True)
class Signature:
    """Positional parameters in their order, keyword-only parameters, and the first line of the docstring."""

    positional: tuple[str, ...]
    options: dict[str, Any]  # name → default, None where it is no literal
    summary: str
    types: dict[str, str] = field(default_factory=dict)  # name → annotation
    optional: tuple[str, ...] = ()  # positional parameters that have a default

    @property
    def roles(self) -> tuple[str, ...]:
        """The networks it needs."""
        return tuple(name for name in self.positional if name not in DATA)

    @property
    def required(self) -> tuple[str, ...]:
        """Those that it cannot do without."""
        return tuple(role for role in self.roles if role not in self.optional)

    def check(self, where: str, settings: Mapping[str, Any]) -> None:
        """Refuse values that the parameters' plain annotations do not allow; command lines check all others."""
        for name, value in settings.items():
            annotation = self.types.get(name, "")
            if annotation == "str" and (isinstance(value, bool) or not isinstance(value, str | int | float)):
                raise BadInput(f"{where}.{name}: {value!r} is no word; YAML reads no, yes, on and off so: quote it")
            if annotation.startswith("tuple["):
                _check_tuple(f"{where}.{name}", annotation, value)
            elif annotation.startswith("Literal["):
                allowed = ast.literal_eval(f"({annotation[8:-1]},)")
                if value not in allowed:
                    hint = near(str(value), map(str, allowed))
                    raise BadInput(f"{where}.{name}: {value!r} is not a choice; {hint}")
            elif annotation in READERS and not _fits(annotation, value):
                raise BadInput(f"{where}.{name}: {value!r} is no {annotation}")


def _fits(annotation: str, value: Any) -> bool:
    try:
        return isinstance(value, bool) == (annotation == "bool") and READERS[annotation](value) is not None
    except (TypeError, ValueError):
        return False


def _check_tuple(where: str, annotation: str, value: Any) -> None:
    """Refuse what is no list of the values, or of as many, that ``tuple[float, float]`` or ``tuple[int, ...]`` has."""
    each = [word.strip() for word in annotation[len("tuple[") : -1].split(",")]
    endless = each[-1] == "..."
    if not isinstance(value, list | tuple) or not (endless or len(value) == len(each)):
        many = "" if endless else f"{len(each)} of them: "
        raise BadInput(f"{where}: {value!r} must be a list, {many}[{', '.join(each)}]")
    for number, kind in zip(value, each[:1] * len(value) if endless else each, strict=True):
        if kind in READERS and not _fits(kind, number):
            raise BadInput(f"{where}: {number!r} in it is no {kind}")


def names(folder: str) -> tuple[str, ...]:
    """What there is in a folder, sorted."""
    return _modules(PACKAGE / folder)


@functools.cache  # a plan asks thousands of times
def _modules(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__"))


def source(folder: str, kind: str) -> Path:
    """The file of a module; a name that is not there is refused with the near miss."""
    path = PACKAGE / folder / f"{kind}.py"
    if kind not in names(folder):
        raise BadInput(f"there is no {kind!r} in {folder}; {near(kind, names(folder))}")
    return path


def networks(kind: str) -> tuple[str, ...]:
    """The names of the networks that a model may save: ``NETWORKS`` of its module."""
    found = _constant(source("models", kind), "NETWORKS")
    if found is None:
        raise BadInput(f"{source('models', kind)} lacks NETWORKS, the names of the networks that it saves")
    return tuple(found)


def on_request(kind: str) -> dict[str, str]:
    """Network → hyperparameter, for those that a model saves only where that is set: ``ON_REQUEST`` of its module."""
    return _constant(source("models", kind), "ON_REQUEST") or {}


def maps(kind: str) -> tuple[str, ...]:
    """The names of a method's maps, ``MAPS`` of its module, where one call draws several; else none."""
    return tuple(_constant(source("attribution", kind), "MAPS") or ())


def methods(kind: str) -> tuple[str, ...]:
    """The kinds of methods whose tables a metric reads, ``METHODS`` of its module, where it asks for one; else none."""
    return tuple(_constant(source("metrics", kind), "METHODS") or ())


@functools.cache
def _constant(path: Path, name: str) -> Any:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    return None


@functools.cache
def signature(folder: str, kind: str, function: str = "") -> Signature:
    """The signature of a function of a module; of ``Learner``, that of its constructor."""
    return _read(source(folder, kind), function or FUNCTIONS[folder][0])


def everywhere() -> dict[str, Signature]:
    """The settings that every dataset has, by the step that takes them."""
    return {
        step: _read(PACKAGE / "cohort.py", function) for step, function in (("pack", "settings"), ("choose", "choice"))
    }


def flags(settings: Mapping[str, Any]) -> list[str]:
    """Settings as words of a command line, sorted; lists as JSON, which every flag that takes one reads."""
    words = []
    for key, value in sorted(settings.items()):
        listed = isinstance(value, bool | Sequence | Mapping) and not isinstance(value, str)
        words += [f"--{key}", shlex.quote(json.dumps(value) if listed else str(value))]
    return words


@functools.cache
def _read(path: Path, function: str) -> Signature:
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == function:
            node = next(item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
        elif not (isinstance(node, ast.FunctionDef) and node.name == function):
            continue
        positional = tuple(a.arg for a in node.args.args if a.arg != "self")
        options = {a.arg: _literal(d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)}
        types = {a.arg: ast.unparse(a.annotation) for a in node.args.kwonlyargs if a.annotation}
        optional = positional[len(positional) - len(node.args.defaults) :]
        return Signature(positional, options, summary, types, optional)
    raise BadInput(f"{path} lacks {function}(), which every module in its folder has")


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node else None
    except ValueError:
        return None
