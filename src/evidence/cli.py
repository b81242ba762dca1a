"""Command lines out of signatures: a folder's modules are the subcommands, their keyword-only parameters the flags."""

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from evidence import signatures
from evidence.errors import BadInput


@dataclass
class Call:
    """What a command line asks for."""

    name: str  # of the module
    module: ModuleType
    options: dict[str, Any]  # hyperparameters
    networks: dict[str, str]  # role → file of weights, perhaps with #name
    files: Namespace  # everything else


Flags = Mapping[str, str | dict[str, Any]]  # flag → help, or the keyword arguments of add_argument


def parse(argv: list[str] | None, folder: str, *, flags: Flags, description: str, function: str = "") -> Call:
    """Read ``NAME --hyperparameter … --role weights … --flag …``. Only the module that is named is imported.

    Args:
        argv: the words; None for those of the process.
        folder: of modules, whose names are the subcommands.
        flags: what every module of the folder takes besides. A help text alone makes a required path.
        description: what the script does.
        function: of the module, where the folder has several.
    """
    argv = sys.argv[1:] if argv is None else argv
    name = argv[0] if argv else "--help"
    if name.startswith("-"):
        _listing(folder, description).parse_args(["--help"] if name in ("-h", "--help") else argv)
    function = function or signatures.FUNCTIONS[folder][0]
    sign = signatures.signature(folder, name, function)
    module = importlib.import_module(f"evidence.{folder}.{name}")
    parser = ArgumentParser(prog=f"{_script()} {name}", description=_text(module, description))
    target = getattr(module, function)
    add = parser.add_class_arguments if isinstance(target, type) else parser.add_function_arguments
    add(target, skip=set(sign.positional), as_group=False)
    for role in sign.roles:
        needed = role in sign.required
        parser.add_argument(f"--{role}", required=needed, help=f"weights of the {role}: a file, or file#network")
    add_flags(parser, flags)
    args = parser.parse_args(argv[1:])
    networks = {role: path for role in sign.roles if (path := args.pop(role))}
    options = {key: args.pop(key) for key in sign.options}
    return Call(name, module, options, networks, args)


def plain(argv: list[str] | None, *, flags: Flags, description: str, function: Callable | None = None) -> Namespace:
    """Read the flags of a script that has no subcommands; the keyword-only parameters of ``function`` are flags too."""
    parser = ArgumentParser(prog=_script(), description=description)
    if function:
        parser.add_function_arguments(function, as_group=False)
    add_flags(parser, flags)
    return parser.parse_args(argv)


def add_flags(parser: ArgumentParser, flags: Flags) -> None:
    for flag, about in flags.items():
        if isinstance(about, str):
            about = {"help": about, **({"required": True} if flag.startswith("--") else {})}
        parser.add_argument(flag, **about)


def run(main: Callable[[], Any]) -> None:
    """Run a script's main; what a person can mend is one line on standard error and exit status 1."""
    # A script's folder stands first on the path; there, our tabulate.py would hide the library that torch may import.
    if sys.path and sys.path[0] == str(Path(sys.argv[0]).resolve().parent):
        del sys.path[0]
    try:
        main()
    except BadInput as error:
        sys.exit("error: " + " ".join(line.strip() for line in str(error).splitlines()))
    except RuntimeError as error:
        torch = sys.modules.get("torch")  # which nothing imports for this alone
        if torch is None or not isinstance(error, torch.OutOfMemoryError):
            raise
        sys.exit(
            f"error: the memory of the GPU is full ({str(error).partition('. ')[0]}): run fewer jobs (--cores), "
            "or set EVIDENCE_BATCH below 50 for maps, or a smaller batch for a training"
        )


def pairs(words: list[str] | None) -> dict[str, str]:
    """``LABEL=PATH`` words as a mapping."""
    found = {}
    for word in words or []:
        label, sign, path = word.rpartition("=")  # a heading may well have one, "λ = 10"
        if not sign:
            raise BadInput(f"{word!r} has to be LABEL=PATH")
        found[label] = path
    return found


def _listing(folder: str, description: str) -> ArgumentParser:
    lines = [f"  {name:<24}{signatures.signature(folder, name).summary}" for name in signatures.names(folder)]
    epilog = "\n".join([f"{folder}:", *lines, "", f"'{_script()} NAME --help' shows the settings of one."])
    parser = ArgumentParser(prog=_script(), usage=f"{_script()} NAME [options]", description=description, epilog=epilog)
    parser.formatter_class = _Raw
    return parser


def _script() -> str:
    return sys.argv[0].rpartition("/")[2] or "evidence"


def _text(module: ModuleType, description: str) -> str:
    return f"{description}\n\n{(module.__doc__ or '').strip()}"


class _Raw(ArgumentParser().formatter_class):  # keeps the line breaks of a listing
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in text.splitlines())
