"""Find the raw files of a dataset on this machine, check them, and write their manifest."""

import os
from pathlib import Path

from evidence import cli, io
from evidence.errors import BadInput


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "datasets",
        function="fetch",
        description=__doc__,
        flags={
            "--label": {"default": "", "help": "what the configuration calls the dataset (default: NAME)"},
            "--raw": {"default": "", "help": "folder of the raw files (default: the variable EVIDENCE_RAW_<LABEL>)"},
            "--manifest": "where the manifest goes (CSV): unit, path, sha256, bytes; a link 'raw' is made beside it",
        },
    )
    label = call.files.label or call.name
    variable = raw_variable(label)
    given = call.files.raw or os.environ.get(variable, "")
    if not given:
        raise BadInput(f"where are the raw files of {label}? Set {variable} to their folder, or give --raw")
    raw, manifest = Path(given).expanduser().resolve(), Path(call.files.manifest)
    if not raw.is_dir():
        raise BadInput(f"{raw}, named by {variable} or --raw for the dataset {label}, is not a folder")
    units = call.module.fetch(raw, **call.options)
    io.save_manifest(manifest, raw, units)
    link = manifest.with_name("raw")
    if link.is_symlink():
        link.unlink()
    link.symlink_to(raw)
    print(f"{label}: {sum(map(len, units.values()))} files in {len(units)} units below {raw}")


def raw_variable(label: str) -> str:
    """The environment variable that says where the raw files of a dataset are."""
    return f"EVIDENCE_RAW_{label.upper()}"


if __name__ == "__main__":
    cli.run(main)
