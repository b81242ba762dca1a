"""Find the raw files of a dataset on this machine, or download them; check them, and write their manifest."""

import os
from pathlib import Path

from evidence import cli, downloads, io, raw
from evidence.errors import BadInput


def main(argv: list[str] | None = None) -> None:
    call = cli.parse(
        argv,
        "datasets",
        function="fetch",
        description=__doc__,
        flags={
            "--label": {"default": "", "help": "what the configuration calls the dataset (default: NAME)"},
            "--raw": {
                "default": "",
                "help": "folder of the raw files (default: the variable EVIDENCE_RAW_<LABEL>, then where they were "
                "found before, then data/<label>, downloaded where that is possible)",
            },
            "--manifest": "where the manifest goes (CSV): unit, path, sha256, bytes; a link 'raw' is made beside it",
        },
    )
    label = call.files.label or call.name
    variable = raw.variable(label)
    manifest = Path(call.files.manifest)
    link = manifest.with_name("raw")
    given = call.files.raw or os.environ.get(variable, "")
    downloaded = Path(f"data/{label}").resolve()
    # As before: a new version of the code is no reason to look elsewhere. What was downloaded is checked anew.
    if not given and link.is_dir() and link.resolve() != downloaded:
        given = str(link.resolve())
        print(f"{variable} is not set; {given} is looked through again")
    folder = Path(given).expanduser().resolve() if given else downloaded
    if not given:
        if not (remote := getattr(call.module, "DOWNLOADS", ())):
            origin = getattr(call.module, "BY_HAND", "")
            raise BadInput(f"where are the raw files of {label}? Set {variable} to their folder, or give --raw{origin}")
        downloads.obtain(remote, folder)
    if not folder.is_dir():
        raise BadInput(f"{folder}, named by {variable} or --raw for the dataset {label}, is not a folder")
    units = call.module.fetch(folder, **call.options)
    io.save_manifest(manifest, folder, units)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(folder)
    print(f"{label}: {sum(map(len, units.values()))} files in {len(units)} units below {folder}")


if __name__ == "__main__":
    cli.run(main)
